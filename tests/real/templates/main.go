// Renders query templates with Go's text/template and the words that stand for a Canary's names: a JSON document on
// standard input, the outcomes as JSON on standard output.
package main

import (
	"encoding/json"
	"log"
	"os"
	"strings"
	"text/template"
)

type asked struct {
	Words     map[string]string
	Variables map[string]string
	Templates []string
}

// outcome of one template; no text where it is refused.
type outcome struct {
	Text *string
}

func main() {
	var asked asked
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		log.Fatal(err)
	}
	words := template.FuncMap{"variables": func() map[string]string { return asked.Variables }}
	for word, value := range asked.Words {
		words[word] = func() string { return value }
	}
	outcomes := make([]outcome, 0, len(asked.Templates))
	for _, text := range asked.Templates {
		outcomes = append(outcomes, outcome{render(text, words)})
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		log.Fatal(err)
	}
}

func render(text string, words template.FuncMap) *string {
	parsed, err := template.New("query").Funcs(words).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil
	}
	var rendered strings.Builder
	if err := parsed.Execute(&rendered, nil); err != nil {
		return nil
	}
	result := rendered.String()
	return &result
}
