package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// role is one part of the control plane, a process of its own.
type role string

const (
	etcdRole        role = "etcd"
	apiServerRole   role = "apiserver"
	controllersRole role = "controllers"
	nodesRole       role = "nodes"
)

// roles in the order in which they start.
var roles = []role{etcdRole, apiServerRole, controllersRole, nodesRole}

// commandName is what the process calls itself. Clients of the API server are known there, in `managedFields` and in
// logs, by the name of their program: a controller's writes must bear the name that they bear on any cluster.
func (r role) commandName() string {
	switch r {
	case apiServerRole:
		return "kube-apiserver"
	case controllersRole:
		return "kube-controller-manager"
	}
	return string(r)
}

// environment leaves out what is set for the caller: no role may be led elsewhere by a proxy, or tuned by accident.
func (r role) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
}

// process is a process that was started here: a number alone may have gone to another process since.
type process struct {
	id int
	// start is when it started, in clock ticks since boot.
	start string
}

// start runs a role as a process that outlives this one and holds nothing of its caller's.
func (c cluster) start(role role) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(c.logFile(role), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(program)
	command.Args = []string{role.commandName(), "serve", c.dir, string(role)}
	command.Dir = c.dir
	command.Env = role.environment()
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", role, err)
	}
	begun, _ := startOf(command.Process.Pid)
	text := fmt.Sprintf("%d %s\n", command.Process.Pid, begun)
	return replaceFile(c.processFile(role), []byte(text))
}

// process reads which process serves a role; none where it was never started or has been ended.
func (c cluster) process(role role) (process, bool) {
	text, err := os.ReadFile(c.processFile(role))
	if err != nil {
		return process{}, false
	}
	fields := strings.Fields(string(text))
	if len(fields) != 2 {
		return process{}, false
	}
	id, err := strconv.Atoi(fields[0])
	if err != nil || id <= 1 {
		return process{}, false
	}
	return process{id: id, start: fields[1]}, true
}

// running says whether the process that serves a role is alive.
func (c cluster) running(role role) bool {
	process, known := c.process(role)
	return known && process.alive()
}

func (p process) alive() bool {
	start, alive := startOf(p.id)
	return alive && start == p.start
}

// end sends a signal, and waits until the process has gone; when its patience is over it kills.
func (p process) end(signal syscall.Signal, patience time.Duration) error {
	// The handle is taken first and the process then looked at, so that the signal cannot reach a later one.
	handle, err := os.FindProcess(p.id)
	if err != nil {
		return err
	}
	defer func() { _ = handle.Release() }()
	if !p.alive() {
		return nil
	}
	if err := handle.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if waitFor(patience, func() bool { return !p.alive() }) {
		return nil
	}
	if err := handle.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if !waitFor(10*time.Second, func() bool { return !p.alive() }) {
		return fmt.Errorf("process %d does not end", p.id)
	}
	return nil
}

// end ends a role, if it runs.
func (c cluster) end(role role, signal syscall.Signal, patience time.Duration) error {
	process, known := c.process(role)
	if !known {
		return nil
	}
	if err := process.end(signal, patience); err != nil {
		return fmt.Errorf("ending %s: %w", role, err)
	}
	return os.Remove(c.processFile(role))
}

// startOf reads when a process started, in clock ticks since boot, and whether it is alive: one that has ended and that
// nobody has waited for is not.
func startOf(id int) (string, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return "", false
	}
	// The second field is the program's name in parentheses, which may hold anything.
	end := bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[end+1:]))
	const state, start = 0, 19
	if len(fields) <= start {
		return "", false
	}
	return fields[start], fields[state] != "Z" && fields[state] != "X"
}

// waitFor asks until the answer is yes; no when the patience is over.
func waitFor(patience time.Duration, done func() bool) bool {
	const pause = 20 * time.Millisecond
	for end := time.Now().Add(patience); ; time.Sleep(pause) {
		if done() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// logTail is the end of a role's log.
func (c cluster) logTail(role role) string {
	const lines = 20
	text, err := os.ReadFile(c.logFile(role))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
