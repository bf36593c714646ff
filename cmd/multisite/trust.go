package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/certs"
	"github.com/multisite/multisite/supervisor/statedir"
)

func (c *cli) trustCommand() *cobra.Command {
	var uninstall, print bool
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Let this machine trust the certificates of tls = \"internal\"",
		Long: "Install the root certificate of the internal authority, which signs the certificates\n" +
			"of sites with tls = \"internal\", for this machine and, if there is certutil, for the\n" +
			"browsers of the user who calls it. The first call makes the authority.",
		Args: exactly(0, "trust [--uninstall | --print]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if uninstall && print {
				return &usageError{err: errors.New("--uninstall and --print exclude each other"), hint: "give one of them"}
			}
			root, err := c.rootCertificate()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if print {
				return pem.Encode(out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
			}
			return trustIn(out, trustStores(), root, uninstall)
		},
	}
	cmd.Flags().BoolVar(&uninstall, "uninstall", false, "remove the root certificate again")
	cmd.Flags().BoolVar(&print, "print", false, "print the root certificate, to install it elsewhere")
	return cmd
}

// rootCertificate returns the root of the internal authority, which is made if there is none.
func (c *cli) rootCertificate() (*x509.Certificate, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	if err := statedir.Make(cfg.StateDir); err != nil {
		return nil, err
	}
	root, err := certs.MakeRoot(filepath.Join(cfg.StateDir, statedir.CertsDir))
	if errors.Is(err, os.ErrPermission) {
		return nil, &hintedError{err: err, hint: "run it as root, or as the user that runs multisite"}
	}
	return root, err
}

// trustIn installs or removes a root certificate in all stores that there are. It succeeds
// if one of them does.
func trustIn(out io.Writer, stores []trustStore, root *x509.Certificate, uninstall bool) error {
	var errs []error
	done := 0
	for _, s := range stores {
		act, did := s.install, "installed in"
		if uninstall {
			act, did = s.uninstall, "removed from"
		}
		if err := act(root); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s, err))
			continue
		}
		done++
		fmt.Fprintf(out, "%s: %s %s\n", root.Subject.CommonName, did, s)
	}
	if len(stores) == 0 {
		return &hintedError{err: errors.New("no certificate store was found"), hint: "install what multisite trust --print prints by hand"}
	}
	if done == 0 {
		return &hintedError{err: errors.Join(errs...), hint: "the store of the machine needs root"}
	}
	for _, err := range errs {
		fmt.Fprintf(out, "not in %v\n", err)
	}
	return nil
}
