package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stage is where a pod stands in its life, as far as it concerns a scheduler and a kubelet.
type stage int

const (
	// stageSettled needs nothing of us.
	stageSettled stage = iota
	// stageUnbound waits for a Node.
	stageUnbound
	// stageBound waits to run.
	stageBound
	// stageDeleted waits to go.
	stageDeleted
)

// readyAfterAnnotation on a pod says how long this one takes to be ready, as in `5s`.
const readyAfterAnnotation = "control-plane/ready-after"

// pace is how long pods take.
type pace struct{ readyAfter, goneAfter time.Duration }

// until is how long a pod stays at a stage.
func (p pace) until(stage stage, pod *corev1.Pod) time.Duration {
	switch stage {
	case stageBound:
		if own, err := time.ParseDuration(pod.Annotations[readyAfterAnnotation]); err == nil {
			return own
		}
		return p.readyAfter
	case stageDeleted:
		return p.goneAfter
	}
	return 0
}

// stageOf reads the stage from the pod.
func stageOf(pod *corev1.Pod) stage {
	switch {
	case pod.DeletionTimestamp != nil:
		// One without grace is gone but for its finalizers, which are not ours.
		if pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0 {
			return stageSettled
		}
		return stageDeleted
	case pod.Spec.NodeName == "":
		if len(pod.Spec.SchedulingGates) > 0 {
			return stageSettled
		}
		return stageUnbound
	case pod.Spec.NodeName == nodeName && (pod.Status.Phase == corev1.PodPending || pod.Status.Phase == ""):
		return stageBound
	}
	return stageSettled
}

// neverReady says whether an image is one whose pods run but never become ready.
func neverReady(image string) bool {
	name, _, _ := strings.Cut(image, "@")
	_, tag, tagged := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ":")
	return tagged && (tag == "1.4.0" || strings.Contains(tag, "broken"))
}

// runningStatus is what a kubelet writes of a pod whose containers have started: ready, unless an image never is.
func runningStatus(pod *corev1.Pod, address string, now metav1.Time) corev1.PodStatus {
	status := corev1.PodStatus{
		Phase:     corev1.PodRunning,
		HostIP:    nodeAddress,
		HostIPs:   []corev1.HostIP{{IP: nodeAddress}},
		PodIP:     address,
		PodIPs:    []corev1.PodIP{{IP: address}},
		StartTime: &now,
	}
	for _, container := range pod.Spec.InitContainers {
		ran := containerStatus(pod, container, now)
		if container.RestartPolicy == nil || *container.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			ran.Started = new(bool)
			ran.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				Reason: "Completed", StartedAt: now, FinishedAt: now, ContainerID: ran.ContainerID,
			}}
		}
		status.InitContainerStatuses = append(status.InitContainerStatuses, ran)
	}
	var unready []string
	for _, container := range pod.Spec.Containers {
		runs := containerStatus(pod, container, now)
		if runs.Ready = !neverReady(container.Image); !runs.Ready {
			unready = append(unready, container.Name)
		}
		status.ContainerStatuses = append(status.ContainerStatuses, runs)
	}
	ready := corev1.PodCondition{Status: corev1.ConditionTrue}
	if len(unready) > 0 {
		ready.Status, ready.Reason = corev1.ConditionFalse, "ContainersNotReady"
		ready.Message = "containers with unready status: [" + strings.Join(unready, " ") + "]"
	}
	done := corev1.PodCondition{Status: corev1.ConditionTrue}
	for _, condition := range []struct {
		kind  corev1.PodConditionType
		state corev1.PodCondition
	}{
		{corev1.PodReadyToStartContainers, done},
		{corev1.PodInitialized, done},
		{corev1.PodReady, ready},
		{corev1.ContainersReady, ready},
	} {
		condition.state.Type = condition.kind
		condition.state.LastTransitionTime = now
		condition.state.ObservedGeneration = pod.Generation
		status.Conditions = append(status.Conditions, condition.state)
	}
	status.ObservedGeneration = pod.Generation
	return status
}

// containerStatus is that of a container that runs and is ready.
func containerStatus(pod *corev1.Pod, container corev1.Container, now metav1.Time) corev1.ContainerStatus {
	started := true
	return corev1.ContainerStatus{
		Name:        container.Name,
		Image:       container.Image,
		ImageID:     container.Image + "@sha256:" + digest(container.Image),
		ContainerID: "none://" + digest(string(pod.UID)+"/"+container.Name),
		State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		Ready:       true,
		Started:     &started,
	}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
