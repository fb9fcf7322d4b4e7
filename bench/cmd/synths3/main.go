// Command synths3 serves the synthetic S3 of package synths3: generated buckets
// such as hive-10m, and objects that are put into the buckets of -buckets.
//
// It prints its URL once it listens and, when it is interrupted, its counters.
// What goes wrong is said by flags, or while it runs with PUT /_synths3/faults.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/keyset"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "synths3:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("synths3", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9300", "`address`; port 0 is any that is free")
	buckets := flags.String("buckets", "ns", "`names` of the buckets that can be written, with commas")
	keep := flags.Int64("keep", 1<<30, "`bytes` of written objects to keep; those beyond cannot be read back")
	bare := flags.Bool("bare", false, "list without the checksum elements of AWS")
	shapes := flags.Bool("shapes", false, "tell the shapes of generated buckets and quit")
	faults := faultFlags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *shapes {
		for _, s := range keyset.Shapes() {
			fmt.Fprintf(out, "%-10s %s\n", s.Name, s.About)
		}
		return nil
	}
	s := synths3.New(synths3.Config{Buckets: strings.Split(*buckets, ","), KeepBytes: *keep, Bare: *bare})
	if err := s.SetFaults(faults()); err != nil {
		return err
	}
	return serve(ctx, s, *listen, out)
}

// faultFlags declares a flag for every fault, and returns what reads them.
func faultFlags(flags *flag.FlagSet) func() synths3.Faults {
	var f synths3.Faults
	quirks := flags.String("quirks", "", "`names` of habits of bad stores, with commas: "+fmt.Sprint(synths3.Quirks()))
	flags.Uint64Var(&f.Seed, "seed", 1, "of what befalls which call")
	flags.Int64Var(&f.Stall.Index, "stall-index", 0, "`index` of the key whose page takes -stall-for")
	flags.DurationVar(&f.Stall.For.Duration, "stall-for", 0, "how long that page takes; 0 is no longer than others")
	flags.Float64Var(&f.QuirkShare, "quirk-share", 0, "`share` of pages that have the quirks; 0 is all")
	callFlags(flags, &f.List, "", "LIST calls")
	callFlags(flags, &f.Objects, "object-", "calls about objects")
	return func() synths3.Faults {
		f.Quirks = synths3.ParseQuirks(*quirks)
		return f
	}
}

func callFlags(flags *flag.FlagSet, c *synths3.Call, prefix, calls string) {
	flags.DurationVar(&c.Latency.Base.Duration, prefix+"latency", 0, "how long "+calls+" wait")
	flags.DurationVar(&c.Latency.Spread.Duration, prefix+"spread", 0, "and how much more or less, evenly")
	flags.Float64Var(&c.Latency.Tail, prefix+"tail", 0, "`share` of "+calls+" that wait longer")
	flags.DurationVar(&c.Latency.TailMean.Duration, prefix+"tail-mean", 0, "by how much, exponentially distributed")
	flags.Float64Var(&c.SlowDown, prefix+"slowdown", 0, "`share` of "+calls+" answered 503 SlowDown")
	flags.Float64Var(&c.Reset, prefix+"reset", 0, "`share` of "+calls+" whose connection is reset")
	flags.Float64Var(&c.Cut, prefix+"cut", 0, "`share` of "+calls+" whose body is cut short")
	flags.Int64Var(&c.MaxInFlight, prefix+"max-in-flight", 0, calls+" at a time, those beyond are answered 503; 0 is no limit")
	flags.Float64Var(&c.MaxRate, prefix+"max-rate", 0, calls+" per second, likewise")
}

// serve serves until ctx ends, then prints the counters.
func serve(ctx context.Context, s *synths3.Server, listen string, out io.Writer) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", listen, err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Fprintf(out, "http://%s\n", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return json.NewEncoder(out).Encode(s.Counters())
}
