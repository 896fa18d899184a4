package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// validity of every certificate: longer than any cluster lives.
const validity = 365 * 24 * time.Hour

// authority signs certificates. The API server and etcd have one each, since whom the API server knows has no business
// with etcd.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// pair names the files of a certificate and its key.
type pair struct{ certificate, key string }

// pair is where a certificate of this cluster lies.
func (c cluster) pair(name string) pair {
	return pair{c.path("certificates", name+".crt"), c.path("certificates", name+".key")}
}

const (
	clusterAuthority = "ca"
	etcdAuthority    = "etcd-ca"
	apiServerPair    = "apiserver"
	etcdPair         = "etcd"
	etcdClientPair   = "etcd-client"
	serviceAccounts  = "service-accounts"
)

// makeCertificates writes the certificates and keys that a cluster needs before its first role starts.
func makeCertificates(c cluster, host string) error {
	if err := os.MkdirAll(c.path("certificates"), 0o700); err != nil {
		return err
	}
	authorities := map[string]authority{}
	for _, name := range []string{clusterAuthority, etcdAuthority} {
		made, err := makeAuthority(c.pair(name), name)
		if err != nil {
			return err
		}
		authorities[name] = made
	}
	names := []string{
		"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local",
	}
	addresses := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, net.IPv4(10, 96, 0, 1), net.ParseIP(host)}
	serving := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, wanted := range []struct {
		authority, name string
		template        x509.Certificate
	}{
		{clusterAuthority, apiServerPair, x509.Certificate{ExtKeyUsage: serving, DNSNames: names, IPAddresses: addresses}},
		{etcdAuthority, etcdPair, x509.Certificate{ExtKeyUsage: serving, IPAddresses: addresses[:1]}},
		{etcdAuthority, etcdClientPair, x509.Certificate{ExtKeyUsage: serving[1:]}},
	} {
		wanted.template.Subject = pkix.Name{CommonName: wanted.name}
		certificate, key, err := authorities[wanted.authority].issue(wanted.template)
		if err != nil {
			return err
		}
		if err := writePair(c.pair(wanted.name), certificate, key); err != nil {
			return err
		}
	}
	return makeServiceAccountKey(c.pair(serviceAccounts))
}

// makeServiceAccountKey writes the key that signs the tokens of ServiceAccounts; no certificate belongs to it.
func makeServiceAccountKey(files pair) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return err
	}
	return replaceFile(files.key, encoded)
}

// issueClient makes a certificate with which the API server knows its bearer as a user of some groups.
func issueClient(c cluster, user string, groups []string) (certificate, key []byte, err error) {
	authority, err := readAuthority(c.pair(clusterAuthority))
	if err != nil {
		return nil, nil, err
	}
	return authority.issue(x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// makeAuthority makes an authority that has signed itself, and writes it.
func makeAuthority(files pair, name string) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	template, err := complete(x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	})
	if err != nil {
		return authority{}, err
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	certificate, err := x509.ParseCertificate(signed)
	if err != nil {
		return authority{}, err
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return authority{}, err
	}
	return authority{certificate, key}, writePair(files, encodeCertificate(signed), encoded)
}

// readAuthority reads an authority that was written.
func readAuthority(files pair) (authority, error) {
	certificate, err := readPEM(files.certificate)
	if err != nil {
		return authority{}, err
	}
	key, err := readPEM(files.key)
	if err != nil {
		return authority{}, err
	}
	read := authority{}
	if read.certificate, err = x509.ParseCertificate(certificate); err != nil {
		return authority{}, fmt.Errorf("%s: %w", files.certificate, err)
	}
	if read.key, err = x509.ParseECPrivateKey(key); err != nil {
		return authority{}, fmt.Errorf("%s: %w", files.key, err)
	}
	return read, nil
}

// issue makes a certificate and its key, both encoded.
func (a authority) issue(wanted x509.Certificate) (certificate, key []byte, err error) {
	wanted.KeyUsage = x509.KeyUsageDigitalSignature
	template, err := complete(wanted)
	if err != nil {
		return nil, nil, err
	}
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, a.certificate, made.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	key, err = encodeKey(made)
	return encodeCertificate(signed), key, err
}

// complete gives a certificate its serial number and its time.
func complete(template x509.Certificate) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(validity)
	return &template, nil
}

func writePair(files pair, certificate, key []byte) error {
	return errors.Join(replaceFile(files.certificate, certificate), replaceFile(files.key, key))
}

func encodeCertificate(signed []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}), nil
}

// readPEM reads the one block of a file.
func readPEM(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	return block.Bytes, nil
}
