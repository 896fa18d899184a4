package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// keeper takes every pod of the cluster to the next stage of its life when it is due.
type keeper struct {
	client    kubernetes.Interface
	pace      pace
	pods      cache.Store
	queue     workqueue.TypedRateLimitingInterface[string]
	addresses *podAddresses
}

func newKeeper(client kubernetes.Interface, pace pace) (*keeper, error) {
	addresses, err := newPodAddresses("10.244.0.0/16")
	if err != nil {
		return nil, err
	}
	// What fails is tried again soon: most failures are an API server that a test has taken away.
	retries := workqueue.NewTypedItemExponentialFailureRateLimiter[string](50*time.Millisecond, time.Second)
	return &keeper{
		client:    client,
		pace:      pace,
		pods:      cache.NewStore(cache.MetaNamespaceKeyFunc),
		queue:     workqueue.NewTypedRateLimitingQueue(retries),
		addresses: addresses,
	}, nil
}

// run works until it is told to end.
func (k *keeper) run(ctx context.Context) {
	const workers = 4
	// A kubelet that comes back late would make every test that restarts the API server slow.
	retries := wait.Backoff{Duration: 200 * time.Millisecond, Cap: time.Second, Steps: 4, Factor: 2, Jitter: 0.2}
	list := cache.NewListWatchFromClient(k.client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, fields.Everything())
	reflector := cache.NewReflectorWithOptions(list, &corev1.Pod{}, k, cache.ReflectorOptions{Backoff: &retries})
	for range workers {
		go func() {
			for k.work(ctx) {
			}
		}()
	}
	reflector.RunWithContext(ctx)
	k.queue.ShutDown()
}

// Add takes notice of a pod.
func (k *keeper) Add(object any) error { return k.notice(object) }

// Update takes notice of a pod that has changed.
func (k *keeper) Update(object any) error { return k.notice(object) }

// Delete forgets a pod that has gone.
func (k *keeper) Delete(object any) error {
	if pod, ok := object.(*corev1.Pod); ok {
		k.addresses.release(pod.UID)
	}
	return k.pods.Delete(object)
}

// Replace takes notice of all pods that there are.
func (k *keeper) Replace(objects []any, version string) error {
	if err := k.pods.Replace(objects, version); err != nil {
		return err
	}
	present := map[types.UID]bool{}
	for _, object := range objects {
		if pod, ok := object.(*corev1.Pod); ok {
			present[pod.UID] = true
		}
	}
	k.addresses.retain(present)
	for _, object := range objects {
		if err := k.notice(object); err != nil {
			return err
		}
	}
	return nil
}

// Resync has nothing to do: what failed is in the queue.
func (k *keeper) Resync() error { return nil }

func (k *keeper) notice(object any) error {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return fmt.Errorf("a pod was expected, not %T", object)
	}
	if err := k.pods.Update(pod); err != nil {
		return err
	}
	k.addresses.claim(pod.UID, pod.Status.PodIP)
	if stage := stageOf(pod); stage != stageSettled {
		k.queue.AddAfter(cache.MetaObjectToName(pod).String(), k.pace.until(stage, pod))
	}
	return nil
}

// work takes one pod to its next stage; no when there will be no more.
func (k *keeper) work(ctx context.Context) bool {
	key, ended := k.queue.Get()
	if ended {
		return false
	}
	defer k.queue.Done(key)
	object, exists, err := k.pods.GetByKey(key)
	if err == nil && exists {
		err = k.advance(ctx, object.(*corev1.Pod))
	}
	// A pod that has changed or gone will be noticed again.
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		k.queue.Forget(key)
		return true
	}
	if ctx.Err() == nil {
		klog.ErrorS(err, "taking a pod to its next stage", "pod", key)
	}
	k.queue.AddRateLimited(key)
	return true
}

// advance does what is due for a pod. To do it twice does no harm.
func (k *keeper) advance(ctx context.Context, pod *corev1.Pod) error {
	pods := k.client.CoreV1().Pods(pod.Namespace)
	switch stageOf(pod) {
	case stageUnbound:
		return pods.Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: nodeName},
		}, metav1.CreateOptions{})
	case stageBound:
		address, err := k.addresses.assign(pod.UID)
		if err != nil {
			return err
		}
		patch, err := json.Marshal(map[string]any{
			// A pod that was created anew under the same name is another pod.
			"metadata": map[string]any{"uid": pod.UID},
			"status":   runningStatus(pod, address, metav1.Now()),
		})
		if err != nil {
			return err
		}
		_, err = pods.Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		return err
	case stageDeleted:
		atOnce := metav1.NewDeleteOptions(0)
		atOnce.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
		return pods.Delete(ctx, pod.Name, *atOnce)
	}
	return nil
}
