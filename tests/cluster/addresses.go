package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// freeAddress picks a port on which the API server can listen, be ended and listen again. It lies below the ports that
// the kernel hands out on its own, one of which another program might get while the API server is away.
func freeAddress(host string) (string, error) {
	const lowest, attempts = 10000, 200
	highest := lowestEphemeralPort()
	if highest <= lowest {
		return "", fmt.Errorf("the kernel hands out every port from %d on", highest)
	}
	for range attempts {
		address := net.JoinHostPort(host, strconv.Itoa(lowest+rand.IntN(highest-lowest)))
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		return address, listener.Close()
	}
	return "", fmt.Errorf("found no free port on %s", host)
}

// lowestEphemeralPort is where the ports begin that the kernel hands out on its own.
func lowestEphemeralPort() int {
	const usual = 32768
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return usual
	}
	var lowest, highest int
	if _, err := fmt.Sscan(string(text), &lowest, &highest); err != nil {
		return usual
	}
	return lowest
}
