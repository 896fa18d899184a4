package main

import (
	"errors"
	"os"
	"slices"
	"syscall"
)

// down ends what up has started, and removes the data; the logs stay. It is no error when there is nothing to end.
func down(c cluster) error {
	unlock, err := lock(c.dir)
	if err != nil {
		return err
	}
	defer unlock()
	return c.endAll()
}

// endAll ends every role that runs, clients first. There is nothing that a role would have to save.
func (c cluster) endAll() error {
	var failed error
	for _, role := range slices.Backward(roles) {
		failed = errors.Join(failed, c.end(role, syscall.SIGKILL, 0))
	}
	return errors.Join(failed, os.RemoveAll(c.path("etcd")))
}
