package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
)

// startCollector starts Kubernetes' garbage collector. The controller manager's own looks for new kinds every 30 seconds,
// which cannot be set; a test that has just installed its kinds would wait that long for what they own to be collected.
func startCollector(c cluster) error {
	const workers, period = 10, 2 * time.Second
	config, err := administrator(c)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	metadataClient, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	// The mapper has a discovery of its own: the collector resets it when kinds come and go.
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	shared := informerfactory.NewInformerFactory(
		informers.NewSharedInformerFactory(client, 0),
		metadatainformer.NewSharedInformerFactory(metadataClient, 0),
	)
	ignored := map[schema.GroupResource]struct{}{}
	for resource := range garbagecollector.DefaultIgnoredResources() {
		ignored[resource] = struct{}{}
	}
	ctx := context.Background()
	started := make(chan struct{})
	collector, err := garbagecollector.NewGarbageCollector(ctx, client, metadataClient, mapper, ignored, shared, started)
	if err != nil {
		return fmt.Errorf("making the garbage collector: %w", err)
	}
	shared.Start(ctx.Done())
	close(started)
	go collector.Run(ctx, workers, period)
	go collector.Sync(ctx, kinds, period)
	return nil
}
