// A Kubernetes API server and its etcd in one process, for tests that need no nodes: neither outlives the other, and
// after a kill a new process continues with the folder's data.
//
//	apiserver DIR PORT
//
// Writes DIR/kubeconfig (an administrator's) before it serves. Ends cleanly on SIGTERM and SIGINT.
package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const etcdReadyLimit = 60 * time.Second

func main() {
	if len(os.Args) != 3 {
		fatal(fmt.Errorf("usage: apiserver DIR PORT"))
	}
	dir := os.Args[1]
	port, err := strconv.ParseUint(os.Args[2], 10, 16)
	if err != nil || port == 0 {
		fatal(fmt.Errorf("%q is not a port", os.Args[2]))
	}
	if err := writeCredentials(dir, uint16(port)); err != nil {
		fatal(err)
	}
	etcd, err := startEtcd(filepath.Join(dir, "etcd"))
	if err != nil {
		fatal(fmt.Errorf("etcd: %w", err))
	}
	go func() { fatal(fmt.Errorf("etcd: %w", <-etcd.Err())) }()

	command := app.NewAPIServerCommand()
	command.SetArgs(arguments(dir, uint16(port), etcd.Clients[0].Addr()))
	status := cli.Run(command)
	etcd.Close()
	os.Exit(status)
}

func startEtcd(dir string) (*embed.Etcd, error) {
	// The system chooses the ports: several of these run at a time.
	any := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config := embed.NewConfig()
	config.Dir = dir
	config.ListenClientUrls, config.AdvertiseClientUrls = any, any
	config.ListenPeerUrls, config.AdvertisePeerUrls = any, any
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.LogLevel = "error"
	// What a killed process wrote is still in the page cache. Only a crash of the machine may lose a test's data.
	config.UnsafeNoFsync = true
	// Each segment is written in full when it is created, two at the start. 64 MiB each is too much for a test's few
	// objects.
	wal.SegmentSizeBytes = 4 << 20
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case <-time.After(etcdReadyLimit):
		return nil, fmt.Errorf("not ready after %s", etcdReadyLimit)
	}
}

func arguments(dir string, port uint16, etcd net.Addr) []string {
	return []string{
		"--etcd-servers=http://" + etcd.String(),
		"--bind-address=127.0.0.1",
		// The reconciler would set the address of the Service `kubernetes`, which no pod here needs, and it refuses a
		// loopback address.
		"--endpoint-reconciler-type=none",
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + filepath.Join(dir, certificateFile),
		"--tls-private-key-file=" + filepath.Join(dir, certificateKeyFile),
		"--token-auth-file=" + filepath.Join(dir, tokensFile),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + filepath.Join(dir, accountKeyFile),
		"--service-account-signing-key-file=" + filepath.Join(dir, accountKeyFile),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--allow-privileged",
		// This plugin refuses pods until a controller has created the namespace's account `default`, and there are no
		// controllers here.
		"--disable-admission-plugins=ServiceAccount",
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "apiserver:", err)
	os.Exit(1)
}
