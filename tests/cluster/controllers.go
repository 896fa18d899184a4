package main

import (
	"os"
	"strings"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
)

// controllers that the life of a Deployment, its Services, its autoscaler and its namespace needs. Garbage is collected
// beside them: see serveCollector.
var controllers = []string{
	names.ClusterRoleAggregationController,
	names.DeploymentController,
	names.EndpointsController,
	names.EndpointSliceController,
	names.HorizontalPodAutoscalerController,
	names.NamespaceController,
	names.ReplicaSetController,
	names.RootCACertificatePublisherController,
	names.ServiceAccountController,
	names.ServiceAccountTokenController,
	names.ValidatingAdmissionPolicyStatusController,
}

// serveControllers is Kubernetes' controller manager, and its garbage collector.
func serveControllers(c cluster) error {
	if err := startCollector(c); err != nil {
		return err
	}
	command := app.NewControllerManagerCommand()
	command.SetArgs([]string{
		"--kubeconfig=" + c.kubeconfig(),
		"--controllers=" + strings.Join(controllers, ","),
		"--leader-elect=false",
		// It serves nothing.
		"--secure-port=0",
		"--root-ca-file=" + c.pair(clusterAuthority).certificate,
		"--service-account-private-key-file=" + c.pair(serviceAccounts).key,
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--profiling=false",
	})
	if code := cli.Run(command); code != 0 {
		os.Exit(code)
	}
	return nil
}
