package main

import (
	"fmt"
	"os"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// administrators is the group that may do everything, RBAC or not.
const administrators = "system:masters"

// addUser makes a kubeconfig for a user, and prints its path. The user may do what RBAC grants to the name and the
// groups: nothing, at first.
func addUser(c cluster, name string, groups []string) error {
	if name == "" || strings.ContainsRune(name, 0) {
		return fmt.Errorf("%q is no user's name", name)
	}
	if err := os.MkdirAll(c.path("users"), 0o700); err != nil {
		return err
	}
	path := c.userKubeconfig(name)
	if err := writeKubeconfig(c, path, name, groups); err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

// writeKubeconfig writes a kubeconfig that holds all it needs, so that it can be copied elsewhere.
func writeKubeconfig(c cluster, path, user string, groups []string) error {
	authority, err := os.ReadFile(c.pair(clusterAuthority).certificate)
	if err != nil {
		return err
	}
	certificate, key, err := issueClient(c, user, groups)
	if err != nil {
		return err
	}
	const name = "control-plane"
	config := clientcmdapi.Config{
		CurrentContext: name,
		Clusters: map[string]*clientcmdapi.Cluster{
			name: {Server: "https://" + c.settings.APIServer, CertificateAuthorityData: authority},
		},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{
			user: {ClientCertificateData: certificate, ClientKeyData: key},
		},
		Contexts: map[string]*clientcmdapi.Context{
			name: {Cluster: name, AuthInfo: user, Namespace: "default"},
		},
	}
	text, err := clientcmd.Write(config)
	if err != nil {
		return err
	}
	return replaceFile(path, text)
}

// administrator is how the roles and commands of this program reach the API server.
func administrator(c cluster) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig())
	if err != nil {
		return nil, err
	}
	// A stand-in for many kubelets must not wait for a limit that is meant for one client.
	config.QPS = -1
	return config, nil
}

// administratorClient is a client with all rights.
func administratorClient(c cluster) (*kubernetes.Clientset, error) {
	config, err := administrator(c)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}
