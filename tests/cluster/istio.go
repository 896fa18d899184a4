package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// istioDefinitions are the kinds of Istio that a rollout has to do with.
var istioDefinitions = []string{
	"destinationrules.networking.istio.io",
	"gateways.networking.istio.io",
	"virtualservices.networking.istio.io",
}

// installIstio installs Istio's definitions from Istio's own file, which lies beside the program, and waits until they
// are served.
func installIstio(ctx context.Context, c cluster) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(program), "istio.yaml"))
	if err != nil {
		return err
	}
	found, err := readDefinitions(text)
	if err != nil {
		return err
	}
	config, err := administrator(c)
	if err != nil {
		return err
	}
	client, err := clientset.NewForConfig(config)
	if err != nil {
		return err
	}
	definitions := client.ApiextensionsV1().CustomResourceDefinitions()
	for _, definition := range found {
		if _, err := definitions.Create(ctx, &definition, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("installing %s: %w", definition.Name, err)
		}
	}
	return c.await(ctx, "Istio's definitions to be served", func(ctx context.Context) bool {
		for _, name := range istioDefinitions {
			definition, err := definitions.Get(ctx, name, metav1.GetOptions{})
			if err != nil || !established(definition) {
				return false
			}
		}
		return true
	}, etcdRole, apiServerRole)
}

// readDefinitions takes the definitions that are wanted from Istio's file.
func readDefinitions(text []byte) ([]apiextensionsv1.CustomResourceDefinition, error) {
	var found []apiextensionsv1.CustomResourceDefinition
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var definition apiextensionsv1.CustomResourceDefinition
		err := documents.Decode(&definition)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading Istio's definitions: %w", err)
		}
		if slices.Contains(istioDefinitions, definition.Name) {
			found = append(found, definition)
		}
	}
	if len(found) != len(istioDefinitions) {
		return nil, fmt.Errorf("Istio's file holds %d of the definitions %v", len(found), istioDefinitions)
	}
	return found, nil
}

func established(definition *apiextensionsv1.CustomResourceDefinition) bool {
	for _, condition := range definition.Status.Conditions {
		if condition.Type == apiextensionsv1.Established {
			return condition.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}
