//go:build pinned

package main

// The program takes a file from Istio's module, and no code. Named here, under a condition that is never met, the module
// stays pinned in go.mod.
import _ "istio.io/api/label"
