package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// startPatience bounds every start, on a machine that may be busy with other things.
const startPatience = 2 * time.Minute

// up starts a cluster, waits until it can be used, and prints the path of the administrator's kubeconfig.
func up(arguments []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	bind := flags.String("bind", "127.0.0.1", "the address on which the API server listens")
	lifetime := flags.Duration("for", 2*time.Hour, "how long the cluster lives at most")
	readyAfter := flags.Duration("ready-after", 300*time.Millisecond, "how long a pod takes to be ready")
	goneAfter := flags.Duration("gone-after", 200*time.Millisecond, "how long a deleted pod takes to go")
	dir, err := parseWithDirectory(flags, arguments)
	if err != nil {
		return err
	}
	address := net.ParseIP(*bind)
	if address == nil || address.IsUnspecified() {
		return fmt.Errorf("--bind takes one IP address of this machine, not %q", *bind)
	}
	if *lifetime <= 0 || *readyAfter < 0 || *goneAfter < 0 {
		return errors.New("a duration cannot be negative, nor --for zero")
	}
	if err := requireOurs(dir); err != nil {
		return err
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	cluster, err := createCluster(dir, settings{
		End:        time.Now().Add(*lifetime),
		ReadyAfter: *readyAfter,
		GoneAfter:  *goneAfter,
	})
	if err != nil {
		return err
	}
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP, os.Interrupt)
	defer release()
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := cluster.bring(ctx, address.String()); err != nil {
		return errors.Join(err, cluster.endAll())
	}
	fmt.Println(cluster.kubeconfig())
	return nil
}

// parseWithDirectory reads flags that may stand before and after the one directory.
func parseWithDirectory(flags *flag.FlagSet, arguments []string) (string, error) {
	if err := flags.Parse(arguments); err != nil {
		return "", err
	}
	if flags.NArg() == 0 {
		return "", errUsage
	}
	dir := flags.Arg(0)
	if err := flags.Parse(flags.Args()[1:]); err != nil {
		return "", err
	}
	if flags.NArg() != 0 || dir == "" {
		return "", errUsage
	}
	return dir, nil
}

// bring starts every role in turn and waits until the cluster can be used.
func (c cluster) bring(ctx context.Context, host string) error {
	if err := makeCertificates(c, host); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Symlink(program, c.program()); err != nil {
		return err
	}
	if err := c.save(); err != nil {
		return err
	}
	if err := c.start(etcdRole); err != nil {
		return err
	}
	answers := func(context.Context) bool {
		_, err := c.etcdEndpoint()
		return err == nil
	}
	if err := c.await(ctx, "etcd to answer", answers, etcdRole); err != nil {
		return err
	}
	if err := spendFirstRevisions(c); err != nil {
		return err
	}
	client, err := c.bringAPIServer(ctx, host)
	if err != nil {
		return err
	}
	for _, role := range []role{controllersRole, nodesRole} {
		if err := c.start(role); err != nil {
			return err
		}
	}
	if err := installIstio(ctx, c); err != nil {
		return err
	}
	return c.await(ctx, "the default ServiceAccount and a ready Node", usable(client), roles...)
}

// bringAPIServer starts the API server. A port that was free may be taken a moment later: then it is another one.
func (c *cluster) bringAPIServer(ctx context.Context, host string) (*kubernetes.Clientset, error) {
	const attempts = 3
	var err error
	for range attempts {
		if c.settings.APIServer, err = freeAddress(host); err != nil {
			return nil, err
		}
		if err := c.save(); err != nil {
			return nil, err
		}
		if err := writeKubeconfig(*c, c.kubeconfig(), "admin", []string{administrators}); err != nil {
			return nil, err
		}
		client, err := administratorClient(*c)
		if err != nil {
			return nil, err
		}
		if err := c.start(apiServerRole); err != nil {
			return nil, err
		}
		isReady := func(ctx context.Context) bool { return ready(ctx, client) }
		err = c.await(ctx, "the API server to be ready", isReady, etcdRole, apiServerRole)
		if err == nil {
			return client, nil
		}
		if !strings.Contains(err.Error(), "address already in use") {
			return nil, err
		}
	}
	return nil, fmt.Errorf("found no port for the API server: %w", err)
}

// usable says whether a pod that is created would run.
func usable(client kubernetes.Interface) func(context.Context) bool {
	return func(ctx context.Context) bool {
		if _, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return false
		}
		node, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil || len(node.Spec.Taints) > 0 {
			return false
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status == corev1.ConditionTrue
			}
		}
		return false
	}
}

// await asks until the answer is yes. It gives up when the time is over, or when a role that it takes has ended.
func (c cluster) await(ctx context.Context, what string, done func(context.Context) bool, needed ...role) error {
	const pause, perQuestion = 50 * time.Millisecond, 5 * time.Second
	for {
		question, cancel := context.WithTimeout(ctx, perQuestion)
		answer := done(question)
		cancel()
		if answer {
			return nil
		}
		for _, role := range needed {
			if !c.running(role) {
				return fmt.Errorf("%s ended while waiting for %s; the end of %s:\n%s", role, what, c.logFile(role), c.logTail(role))
			}
		}
		select {
		case <-ctx.Done():
			last := needed[len(needed)-1]
			return fmt.Errorf("waited in vain for %s; the end of %s:\n%s", what, c.logFile(last), c.logTail(last))
		case <-time.After(pause):
		}
	}
}
