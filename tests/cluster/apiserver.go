package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// serveAPIServer is Kubernetes' API server, with authorization by RBAC and the admission of a cluster's defaults.
func serveAPIServer(c cluster) error {
	host, port, err := net.SplitHostPort(c.settings.APIServer)
	if err != nil {
		return err
	}
	etcd, err := c.etcdEndpoint()
	if err != nil {
		return err
	}
	command := app.NewAPIServerCommand()
	command.SetArgs([]string{
		"--etcd-servers=" + etcd,
		"--etcd-cafile=" + c.pair(etcdAuthority).certificate,
		"--etcd-certfile=" + c.pair(etcdClientPair).certificate,
		"--etcd-keyfile=" + c.pair(etcdClientPair).key,
		// A test that wants old revisions gone says so: see compact.
		"--etcd-compaction-interval=0",
		"--bind-address=" + host,
		"--advertise-address=" + host,
		"--secure-port=" + port,
		// No endpoint of the Service `kubernetes` may be a loopback address.
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + c.pair(apiServerPair).certificate,
		"--tls-private-key-file=" + c.pair(apiServerPair).key,
		"--client-ca-file=" + c.pair(clusterAuthority).certificate,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.pair(serviceAccounts).key,
		"--service-account-signing-key-file=" + c.pair(serviceAccounts).key,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		"--enable-priority-and-fairness=false",
		"--profiling=false",
	})
	if code := cli.Run(command); code != 0 {
		os.Exit(code)
	}
	return nil
}

// controlAPIServer ends the API server or starts it again, alone and on the same port.
func controlAPIServer(c cluster, wish string) error {
	unlock, err := lock(c.dir)
	if err != nil {
		return err
	}
	defer unlock()
	switch wish {
	case "stop":
		// It would wait a minute for the watches that hold on to it; whoever stops it loses patience sooner.
		const patience = 5 * time.Second
		return c.end(apiServerRole, syscall.SIGTERM, patience)
	case "kill":
		return c.end(apiServerRole, syscall.SIGKILL, 0)
	case "start":
		return c.startAPIServer()
	}
	return errUsage
}

// startAPIServer starts an API server that was ended, and waits until it is ready.
func (c cluster) startAPIServer() error {
	if !c.running(etcdRole) {
		return fmt.Errorf("the cluster in %s is down", c.dir)
	}
	if c.running(apiServerRole) {
		return nil
	}
	if err := c.start(apiServerRole); err != nil {
		return err
	}
	client, err := administratorClient(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	isReady := func(ctx context.Context) bool { return ready(ctx, client) }
	if err := c.await(ctx, "the API server to be ready", isReady, etcdRole, apiServerRole); err != nil {
		return err
	}
	// The controllers ask ever more seldom while it is away, and would come back as late as a minute after it.
	if err := c.end(controllersRole, syscall.SIGKILL, 0); err != nil {
		return err
	}
	return c.start(controllersRole)
}

// ready says whether the API server says that it is.
func ready(ctx context.Context, client kubernetes.Interface) bool {
	answer, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	return err == nil && strings.TrimSpace(string(answer)) == "ok"
}
