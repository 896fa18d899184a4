package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
)

const (
	// nodeName is the one Node that every pod runs on.
	nodeName = "node-1"
	// nodeAddress is from the range that documentation has to itself: nothing answers there.
	nodeAddress = "192.0.2.1"
)

// serveNodes stands in for the scheduler and for the kubelet of one Node.
func serveNodes(c cluster) error {
	client, err := administratorClient(c)
	if err != nil {
		return err
	}
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer release()
	keeper, err := newKeeper(client, pace{readyAfter: c.settings.ReadyAfter, goneAfter: c.settings.GoneAfter})
	if err != nil {
		return err
	}
	if err := registerNode(ctx, client); err != nil {
		return err
	}
	keeper.run(ctx)
	return nil
}

// registerNode makes the Node known and ready. It tries until it is told to end.
func registerNode(ctx context.Context, client kubernetes.Interface) error {
	const pause = 200 * time.Millisecond
	for {
		err := putNode(ctx, client)
		if err == nil {
			return nil
		}
		klog.ErrorS(err, "registering the node")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func putNode(ctx context.Context, client kubernetes.Interface) error {
	nodes := client.CoreV1().Nodes()
	_, err := nodes.Create(ctx, readyNode(metav1.Now()), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the node: %w", err)
	}
	// A new Node is tainted as not ready; the controller that would take the taint away is not here.
	untainted := []byte(`{"spec":{"taints":null}}`)
	_, err = nodes.Patch(ctx, nodeName, types.MergePatchType, untainted, metav1.PatchOptions{})
	return err
}

// readyNode is a machine with room for everything.
func readyNode(now metav1.Time) *corev1.Node {
	room := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("256"),
		corev1.ResourceMemory:           resource.MustParse("1Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             resource.MustParse("20000"),
	}
	conditions := []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory"},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure"},
		{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID"},
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"},
	}
	for i := range conditions {
		conditions[i].LastHeartbeatTime, conditions[i].LastTransitionTime = now, now
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: nodeName,
			Labels: map[string]string{
				corev1.LabelHostname:   nodeName,
				corev1.LabelOSStable:   "linux",
				corev1.LabelArchStable: "amd64",
			},
		},
		Status: corev1.NodeStatus{
			Capacity:    room,
			Allocatable: room,
			Conditions:  conditions,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: nodeAddress},
				{Type: corev1.NodeHostName, Address: nodeName},
			},
			NodeInfo: corev1.NodeSystemInfo{
				OperatingSystem:         "linux",
				Architecture:            "amd64",
				ContainerRuntimeVersion: "none://0",
				KubeletVersion:          version.Get().GitVersion,
			},
		},
	}
}
