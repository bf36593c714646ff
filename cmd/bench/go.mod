module github.com/multisite/multisite/cmd/bench

go 1.26.0

require (
	github.com/multisite/multisite v0.0.0
	github.com/spf13/cobra v1.10.2
	golang.org/x/sys v0.49.0
)

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
)

replace github.com/multisite/multisite => ../..
