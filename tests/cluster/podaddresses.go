package main

import (
	"fmt"
	"net/netip"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// podAddresses gives each pod an address of its own. An address that comes free is given again only after all others.
type podAddresses struct {
	mutex  sync.Mutex
	pods   netip.Prefix
	last   netip.Addr
	owners map[netip.Addr]types.UID
	given  map[types.UID]netip.Addr
}

func newPodAddresses(pods string) (*podAddresses, error) {
	prefix, err := netip.ParsePrefix(pods)
	if err != nil {
		return nil, err
	}
	return &podAddresses{
		pods:   prefix,
		last:   prefix.Addr(),
		owners: map[netip.Addr]types.UID{},
		given:  map[types.UID]netip.Addr{},
	}, nil
}

// claim notes an address that a pod has already.
func (a *podAddresses) claim(pod types.UID, address string) {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.owners[parsed], a.given[pod] = pod, parsed
}

// assign gives a pod its address: the same one when asked again.
func (a *podAddresses) assign(pod types.UID) (string, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if given, ok := a.given[pod]; ok {
		return given.String(), nil
	}
	next := a.last
	for range 1 << (a.pods.Addr().BitLen() - a.pods.Bits()) {
		if next = next.Next(); !a.pods.Contains(next) {
			next = a.pods.Addr().Next()
		}
		if _, taken := a.owners[next]; !taken {
			a.owners[next], a.given[pod], a.last = pod, next, next
			return next.String(), nil
		}
	}
	return "", fmt.Errorf("all addresses of %s are taken", a.pods)
}

// release takes back the address of a pod that has gone.
func (a *podAddresses) release(pod types.UID) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.forget(pod)
}

// retain takes back the addresses of all pods but these.
func (a *podAddresses) retain(pods map[types.UID]bool) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for pod := range a.given {
		if !pods[pod] {
			a.forget(pod)
		}
	}
}

func (a *podAddresses) forget(pod types.UID) {
	if given, ok := a.given[pod]; ok {
		delete(a.given, pod)
		delete(a.owners, given)
	}
}
