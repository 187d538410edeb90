// The credentials of client and server: a self-signed certificate, one administrator's token, and the key that signs
// ServiceAccount tokens. They are created once per folder; everything except the kubeconfig stays the same when the
// server is started again.
package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	certificateFile    = "apiserver.crt"
	certificateKeyFile = "apiserver.key"
	accountKeyFile     = "accounts.key"
	tokenFile          = "token"
	tokensFile         = "tokens.csv"
	kubeconfigFile     = "kubeconfig"
)

func writeCredentials(dir string, port uint16) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// The token file is written last, so if it exists, the others exist too.
	if _, err := os.Stat(filepath.Join(dir, tokenFile)); errors.Is(err, fs.ErrNotExist) {
		if err := makeCredentials(dir); err != nil {
			return err
		}
	}
	certificate, err := os.ReadFile(filepath.Join(dir, certificateFile))
	if err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(dir, tokenFile))
	if err != nil {
		return err
	}
	const name = "weir-tests"
	config := api.NewConfig()
	config.Clusters[name] = &api.Cluster{Server: fmt.Sprintf("https://127.0.0.1:%d", port), CertificateAuthorityData: certificate}
	config.AuthInfos[name] = &api.AuthInfo{Token: string(token)}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	written := filepath.Join(dir, kubeconfigFile)
	// Written atomically, so that a reader never sees a partial file.
	if err := clientcmd.WriteToFile(*config, written+".new"); err != nil {
		return err
	}
	return os.Rename(written+".new", written)
}

func makeCredentials(dir string) error {
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, []string{"localhost"})
	if err != nil {
		return err
	}
	accountKey, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return err
	}
	token := rand.Text()
	for _, file := range []struct {
		name    string
		content []byte
	}{
		{certificateFile, certificate},
		{certificateKeyFile, key},
		{accountKeyFile, accountKey},
		{tokensFile, []byte(token + ",admin,admin,system:masters\n")},
		{tokenFile, []byte(token)},
	} {
		if err := os.WriteFile(filepath.Join(dir, file.name), file.content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
