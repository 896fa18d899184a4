// Command control-plane runs a real Kubernetes control plane on loopback for tests: etcd, the API server and the
// controllers of Kubernetes itself, and a stand-in for the machines that pods would run on.
//
// It is one program: run as `up` it starts itself again once for each role, so that each role is a process of its own
// that can be ended and started alone. All that belongs to one cluster lies in one directory.
//
// It must never listen beyond what it was told, never end a process that it did not start, and never touch a kubeconfig
// outside its directory.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

const usage = `usage:
  up DIR [--bind ADDRESS] [--for DURATION] [--ready-after DURATION] [--gone-after DURATION]
  down DIR
  apiserver DIR stop|kill|start
  user DIR NAME [GROUP...]
  compact DIR`

// errUsage is what a command answers when its arguments make no sense.
var errUsage = errors.New(usage)

func main() {
	err := run(os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		fmt.Println(usage)
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(64)
	default:
		fmt.Fprintln(os.Stderr, "control plane:", err)
		os.Exit(1)
	}
}

// run carries out one command, or serves as one role until it is told to end.
func run(arguments []string) error {
	if len(arguments) < 2 {
		return errUsage
	}
	command, arguments := arguments[0], arguments[1:]
	if command == "up" {
		return up(arguments)
	}
	cluster, err := openCluster(arguments[0])
	if command == "down" && errors.Is(err, errNoCluster) {
		return nil
	}
	if err != nil {
		return err
	}
	switch command {
	case "down":
		return down(cluster)
	case "apiserver":
		if len(arguments) != 2 {
			return errUsage
		}
		return controlAPIServer(cluster, arguments[1])
	case "user":
		if len(arguments) < 2 {
			return errUsage
		}
		return addUser(cluster, arguments[1], arguments[2:])
	case "compact":
		return compact(cluster)
	case "serve":
		if len(arguments) != 2 {
			return errUsage
		}
		return serve(cluster, role(arguments[1]))
	}
	return errUsage
}

// serve runs one role in this process. It returns when the role ends.
func serve(cluster cluster, role role) error {
	endAt(cluster.settings.End)
	switch role {
	case etcdRole:
		return serveEtcd(cluster)
	case apiServerRole:
		return serveAPIServer(cluster)
	case controllersRole:
		return serveControllers(cluster)
	case nodesRole:
		return serveNodes(cluster)
	}
	return fmt.Errorf("there is no role %q", role)
}
