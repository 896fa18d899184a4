package main

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestImagesThatNeverBecomeReady(t *testing.T) {
	for image, expected := range map[string]bool{
		"app:1.4.0":                      true,
		"registry:5000/team/app:1.4.0":   true,
		"app:2.0.0-broken":               true,
		"app:1.4.0@sha256:0123456789":    true,
		"app:1.5.0":                      false,
		"app":                            false,
		"broken/app:1.0.0":               false,
		"registry:1.4.0/app":             false,
		"registry:5000/app@sha256:01234": false,
	} {
		if neverReady(image) != expected {
			t.Errorf("%s: never ready should be %v", image, expected)
		}
	}
}

func TestAPodGoesThroughItsStages(t *testing.T) {
	now := metav1.Now()
	grace, none := int64(30), int64(0)
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		made := &corev1.Pod{Spec: corev1.PodSpec{NodeName: nodeName}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
		change(made)
		return made
	}
	for name, expected := range map[string]struct {
		pod   *corev1.Pod
		stage stage
	}{
		"new":       {pod(func(p *corev1.Pod) { p.Spec.NodeName = "" }), stageUnbound},
		"gated":     {pod(func(p *corev1.Pod) { p.Spec.NodeName, p.Spec.SchedulingGates = "", []corev1.PodSchedulingGate{{}} }), stageSettled},
		"bound":     {pod(func(*corev1.Pod) {}), stageBound},
		"running":   {pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }), stageSettled},
		"another's": {pod(func(p *corev1.Pod) { p.Spec.NodeName = "elsewhere" }), stageSettled},
		"deleted":   {pod(func(p *corev1.Pod) { p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &now, &grace }), stageDeleted},
		"held":      {pod(func(p *corev1.Pod) { p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &now, &none }), stageSettled},
	} {
		if stage := stageOf(expected.pod); stage != expected.stage {
			t.Errorf("%s: stage %d, not %d", name, stage, expected.stage)
		}
	}
}

func TestAPodMaySayHowLongItTakes(t *testing.T) {
	pace := pace{readyAfter: time.Second, goneAfter: time.Minute}
	pod := &corev1.Pod{}
	if pace.until(stageUnbound, pod) != 0 || pace.until(stageBound, pod) != time.Second || pace.until(stageDeleted, pod) != time.Minute {
		t.Error("a pod that says nothing keeps the cluster's pace")
	}
	pod.Annotations = map[string]string{readyAfterAnnotation: "5s"}
	if pace.until(stageBound, pod) != 5*time.Second {
		t.Error("a pod's own time to be ready goes first")
	}
	pod.Annotations[readyAfterAnnotation] = "soon"
	if pace.until(stageBound, pod) != time.Second {
		t.Error("what is no duration does not count")
	}
}

func TestARunningPodIsReadyUnlessItsImageNeverIs(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "one"}}
	pod.Spec.Containers = []corev1.Container{{Name: "app", Image: "app:1.5.0"}, {Name: "proxy", Image: "proxy:1.4.0"}}
	condition := func(status corev1.PodStatus) corev1.ConditionStatus {
		for _, condition := range status.Conditions {
			if condition.Type == corev1.PodReady {
				return condition.Status
			}
		}
		return "absent"
	}
	status := runningStatus(pod, "10.244.0.1", metav1.Now())
	if status.Phase != corev1.PodRunning || condition(status) != corev1.ConditionFalse {
		t.Errorf("runs unready, not %s and ready %s", status.Phase, condition(status))
	}
	if !status.ContainerStatuses[0].Ready || status.ContainerStatuses[1].Ready || status.ContainerStatuses[1].State.Running == nil {
		t.Errorf("one container is ready and both run, not %v", status.ContainerStatuses)
	}
	pod.Spec.Containers = pod.Spec.Containers[:1]
	if status := runningStatus(pod, "10.244.0.1", metav1.Now()); condition(status) != corev1.ConditionTrue {
		t.Errorf("is ready, not %s", condition(status))
	}
}

func TestEveryPodHasAnAddressOfItsOwn(t *testing.T) {
	addresses, err := newPodAddresses("10.244.0.0/30")
	if err != nil {
		t.Fatal(err)
	}
	assign := func(pod types.UID) string {
		address, err := addresses.assign(pod)
		if err != nil {
			t.Fatal(err)
		}
		return address
	}
	addresses.claim("old", "10.244.0.2")
	first, second := assign("first"), assign("second")
	if first != "10.244.0.1" || second != "10.244.0.3" || assign("first") != first || assign("old") != "10.244.0.2" {
		t.Errorf("gave %s and %s", first, second)
	}
	if address, err := addresses.assign("third"); err == nil {
		t.Errorf("gave %s, where all were taken", address)
	}
	addresses.release("first")
	if third := assign("third"); third != first {
		t.Errorf("gave %s, not the one that came free", third)
	}
	addresses.retain(map[types.UID]bool{"old": true})
	if fourth := assign("fourth"); fourth != second {
		t.Errorf("gave %s, not the next that came free", fourth)
	}
}
