package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// serveEtcd is the store. It listens where the kernel says, and writes that down once it answers.
func serveEtcd(c cluster) error {
	anyPort := func(scheme string) []url.URL { return []url.URL{{Scheme: scheme, Host: "127.0.0.1:0"}} }
	config := embed.NewConfig()
	config.Dir = c.path("etcd")
	config.ListenClientUrls, config.AdvertiseClientUrls = anyPort("https"), anyPort("https")
	config.ListenPeerUrls, config.AdvertisePeerUrls = anyPort("http"), anyPort("http")
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.ClientTLSInfo = c.etcdTLS(etcdPair)
	config.ClientTLSInfo.ClientCertAuth = true
	// What a machine's crash would lose is of no worth here.
	config.UnsafeNoFsync = true
	config.LogLevel = "warn"

	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer server.Close()
	told, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer release()
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		return err
	case <-told.Done():
		return nil
	}
	endpoint := "https://" + server.Clients[0].Addr().String()
	if err := replaceFile(c.endpointFile(), []byte(endpoint+"\n")); err != nil {
		return err
	}
	select {
	case err := <-server.Err():
		return err
	case <-told.Done():
		return nil
	}
}

// etcdEndpoint is where etcd listens, once it does.
func (c cluster) etcdEndpoint() (string, error) {
	text, err := os.ReadFile(c.endpointFile())
	return strings.TrimSpace(string(text)), err
}

// etcdTLS is how one end of a connection to etcd shows itself, and whom it believes.
func (c cluster) etcdTLS(name string) transport.TLSInfo {
	return transport.TLSInfo{
		CertFile:      c.pair(name).certificate,
		KeyFile:       c.pair(name).key,
		TrustedCAFile: c.pair(etcdAuthority).certificate,
	}
}

// compact makes etcd forget every revision but the present one. Whoever asks the API server for an older one after that
// server's next start is told that it has expired; until then the server remembers the latest changes itself.
func compact(c cluster) error {
	return c.withEtcd(func(ctx context.Context, client *clientv3.Client) error {
		present, err := client.Get(ctx, "/")
		if err != nil {
			return err
		}
		return forget(ctx, client, present.Header.Revision)
	})
}

// spendFirstRevisions gives a new etcd a past that it has forgotten already: on any cluster that is more than a minute
// old the first revisions have expired, and they shall have here.
func spendFirstRevisions(c cluster) error {
	const revisions, key = 100, "/spent"
	return c.withEtcd(func(ctx context.Context, client *clientv3.Client) error {
		for range revisions {
			if _, err := client.Put(ctx, key, ""); err != nil {
				return err
			}
		}
		last, err := client.Delete(ctx, key)
		if err != nil {
			return err
		}
		return forget(ctx, client, last.Header.Revision)
	})
}

func forget(ctx context.Context, client *clientv3.Client, before int64) error {
	_, err := client.Compact(ctx, before, clientv3.WithCompactPhysical())
	return err
}

// withEtcd does something with a client of the cluster's etcd.
func (c cluster) withEtcd(do func(context.Context, *clientv3.Client) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	endpoint, err := c.etcdEndpoint()
	if err != nil {
		return err
	}
	tls, err := c.etcdTLS(etcdClientPair).ClientConfig()
	if err != nil {
		return err
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, TLS: tls, Context: ctx})
	if err != nil {
		return err
	}
	defer client.Close()
	if err := do(ctx, client); err != nil {
		return fmt.Errorf("speaking with etcd: %w", err)
	}
	return nil
}
