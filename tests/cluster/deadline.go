package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// endAt ends this process at a time by the wall clock: a cluster whose test was killed must not live for ever.
func endAt(end time.Time) {
	const longestNap, grace = 30 * time.Second, 10 * time.Second
	go func() {
		for {
			left := time.Until(end)
			if left <= 0 {
				break
			}
			// In naps, since a clock may be set and a machine suspended.
			time.Sleep(min(left, longestNap))
		}
		fmt.Fprintln(os.Stderr, "the time that this cluster was started for is over")
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err == nil {
			time.Sleep(grace)
		}
		os.Exit(0)
	}()
}
