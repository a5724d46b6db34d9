// The program vault is HashiCorp Vault's own core and HTTP API, with what the tests need of it: KV, AppRole, JWT,
// Kubernetes, userpass, the file audit device and a Shamir seal. It is for tests on this machine and isn't distributed.
//
// It prints one line when it listens: "vault listens on ADDRESS", with -standby one more, "standby listens on ADDRESS".
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"

	log "github.com/hashicorp/go-hclog"
	jwtauth "github.com/hashicorp/vault-plugin-auth-jwt"
	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/command/server"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// storage is what the active node and its standby have in common.
type storage struct {
	physical physical.Backend
	lock     physical.HABackend
	logger   log.Logger
}

func main() {
	address := flag.String("address", "127.0.0.1:0", "address to listen on")
	standby := flag.Bool("standby", false, "a second node over the same storage, on a port of its own")
	data := flag.String("data", "", "data folder; without it everything is in memory")
	tlsFolder := flag.String("tls", "", "folder of ca.pem and the certificate under it, made when absent; without it plain HTTP")
	level := flag.String("log-level", "error", "log level")
	flag.Parse()

	logger := log.New(&log.LoggerOptions{Level: log.LevelFromString(*level)})
	shared := openStorage(*data, logger)
	var certificate *tls.Config
	if *tlsFolder != "" {
		var err error
		certificate, err = loadOrCreateCertificate(*tlsFolder)
		exitOn(err)
	}
	if *standby {
		go serve("standby", "127.0.0.1:0", certificate, shared)
	}
	serve("vault", *address, certificate, shared)
}

func openStorage(folder string, logger log.Logger) storage {
	var backend physical.Backend
	var err error
	if folder == "" {
		backend, err = inmem.NewInmem(nil, logger)
	} else {
		backend, err = file.NewFileBackend(map[string]string{"path": folder}, logger)
	}
	exitOn(err)
	lock, err := inmem.NewInmemHA(nil, logger)
	exitOn(err)
	return storage{physical: backend, lock: lock.(physical.HABackend), logger: logger}
}

// serve runs one node. It returns never.
func serve(name, address string, certificate *tls.Config, shared storage) {
	listener, err := net.Listen("tcp", address)
	exitOn(err)
	url := "http://" + listener.Addr().String()
	if certificate != nil {
		url = "https://" + listener.Addr().String()
		listener = tls.NewListener(listener, certificate)
	}
	core, err := newCore(url, shared)
	exitOn(err)
	fmt.Println(name, "listens on", url)
	exitOn(http.Serve(listener, vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:           core,
		ListenerConfig: &configutil.Listener{Address: address, TLSDisable: certificate == nil},
	})))
}

func newCore(url string, shared storage) (*vault.Core, error) {
	secrets := map[string]logical.Factory{"kv": kv.Factory}
	credentials := map[string]logical.Factory{
		"approle": approle.Factory, "jwt": jwtauth.Factory, "kubernetes": kubeauth.Factory, "userpass": userpass.Factory,
	}
	return vault.NewCore(&vault.CoreConfig{
		Physical:           shared.physical,
		HAPhysical:         shared.lock,
		RedirectAddr:       url,
		Logger:             shared.logger,
		DisableMlock:       true,
		RawConfig:          &server.Config{SharedConfig: &configutil.SharedConfig{}},
		LogicalBackends:    secrets,
		CredentialBackends: credentials,
		BuiltinRegistry:    registry{consts.PluginTypeSecrets: secrets, consts.PluginTypeCredential: credentials},
		AuditBackends:      map[string]audit.Factory{"file": audit.NewFileBackend},
	})
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}
