package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cluster is one control plane. Its directory holds all there is of it.
type cluster struct {
	dir      string
	settings settings
}

// settings are what one cluster was started with; every role reads them when it starts.
type settings struct {
	// APIServer is where the API server listens, as host:port.
	APIServer string `json:"apiServer"`
	// End is when every role ends by itself.
	End time.Time `json:"end"`
	// ReadyAfter is how long a pod takes from being bound to running and ready.
	ReadyAfter time.Duration `json:"readyAfter"`
	// GoneAfter is how long a deleted pod takes to go.
	GoneAfter time.Duration `json:"goneAfter"`
}

// errNoCluster says that a directory holds no cluster.
var errNoCluster = errors.New("no cluster was ever started there")

// openCluster reads the cluster of a directory.
func openCluster(dir string) (cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return cluster{}, err
	}
	opened := cluster{dir: dir}
	text, err := os.ReadFile(opened.settingsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return cluster{}, fmt.Errorf("%s: %w", dir, errNoCluster)
	}
	if err != nil {
		return cluster{}, err
	}
	if err := json.Unmarshal(text, &opened.settings); err != nil {
		return cluster{}, fmt.Errorf("%s: %w", opened.settingsFile(), err)
	}
	return opened, nil
}

// createCluster makes a directory ready for a new cluster: an empty one, or one that held a cluster which has ended.
func createCluster(dir string, settings settings) (cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return cluster{}, err
	}
	created := cluster{dir: dir, settings: settings}
	former, err := openCluster(dir)
	if errors.Is(err, errNoCluster) {
		return created, nil
	}
	if err != nil {
		return cluster{}, err
	}
	for _, role := range roles {
		if former.running(role) {
			return cluster{}, fmt.Errorf("a cluster runs in %s already: end it with `down %s`", dir, dir)
		}
	}
	return created, created.clear()
}

// requireOurs refuses a directory that holds something of somebody else, before anything is written there.
func requireOurs(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := openCluster(dir); !errors.Is(err, errNoCluster) {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != lockName {
			return fmt.Errorf("%s holds %s, but no cluster: name an empty or a new directory", dir, entry.Name())
		}
	}
	return nil
}

// clear removes what a former cluster left in the directory.
func (c cluster) clear() error {
	left := []string{c.path("etcd"), c.path("certificates"), c.path("users"), c.endpointFile(), c.program(), c.kubeconfig()}
	for _, role := range roles {
		left = append(left, c.logFile(role), c.processFile(role))
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// save writes the settings for the roles to read.
func (c cluster) save() error {
	text, err := json.MarshalIndent(c.settings, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(c.settingsFile(), append(text, '\n'))
}

// lockName is the file whose lock says that a command is at work on the directory.
const lockName = "lock"

// lock waits until no other command is at work on the directory. What it returns gives the lock back.
func lock(dir string) (func(), error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

func (c cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

func (c cluster) settingsFile() string         { return c.path("cluster.json") }
func (c cluster) kubeconfig() string           { return c.path("kubeconfig") }
func (c cluster) endpointFile() string         { return c.path("etcd.endpoint") }
func (c cluster) program() string              { return c.path("program") }
func (c cluster) logFile(role role) string     { return c.path(string(role) + ".log") }
func (c cluster) processFile(role role) string { return c.path(string(role) + ".pid") }

// userKubeconfig is where a user's kubeconfig lies. Names of users may hold anything.
func (c cluster) userKubeconfig(name string) string {
	escaped := strings.NewReplacer("%", "%25", "/", "%2F").Replace(name)
	return c.path("users", escaped+".kubeconfig")
}

// replaceFile writes a file that only its owner reads, so that a reader sees the old text or the new one, never a part.
func replaceFile(path string, text []byte) error {
	draft := path + ".new"
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return err
	}
	return os.Rename(draft, path)
}
