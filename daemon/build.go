package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/exec"
	"github.com/hooktroupe/hooktroupe/handler/forward"
	"github.com/hooktroupe/hooktroupe/handler/logger"
	hthttp "github.com/hooktroupe/hooktroupe/http"
	"github.com/hooktroupe/hooktroupe/http/clientaddr"
	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/http/ingress/health"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/journal/wal"
	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

// Source builds one configured source.
func Source(cfg *config.Config, name string) (source.Source, error) {
	s, configured := cfg.Sources[name]
	if !configured {
		return nil, fmt.Errorf("sources: there is no %q", name)
	}
	construct, known := sources.All()[s.Type]
	if !known {
		return nil, fmt.Errorf("sources.%s.type: %q is none of %v", name, s.Type, sources.Types())
	}
	return construct(sourceConfig(name, s))
}

// sources builds every configured source.
func (d *daemon) sources() ([]ingress.Entry, error) {
	var entries []ingress.Entry
	for _, name := range slices.Sorted(maps.Keys(d.config.Sources)) {
		s := d.config.Sources[name]
		built, err := Source(d.config, name)
		if err != nil {
			return nil, err
		}
		allow, err := clientaddr.ParsePrefixes("sources."+name+".allow", s.Allow)
		if err != nil {
			return nil, err
		}
		d.metrics.Tasks.Accepted.With(name) // counters begin at zero, not with their first step
		d.metrics.Ingress.Rejected.With(name, problem.BadSignature.Reason())
		entries = append(entries, ingress.Entry{
			Name: name, Source: built, MaxBodyBytes: int(s.MaxBodyBytes), Aliases: s.Aliases,
			Allow: allow, Rate: float64(s.Rate), Burst: s.Burst,
		})
	}
	return entries, nil
}

// watched are these sources as the board of health knows them.
func (d *daemon) watched(entries []ingress.Entry) []health.Source {
	watched := make([]health.Source, 0, len(entries))
	for _, e := range entries {
		watched = append(watched, health.Source{
			Name: e.Name, Type: d.config.Sources[e.Name].Type,
			Paths:    append([]string{ingress.PathPrefix + e.Name}, e.Aliases...),
			Patience: source.PatienceOf(e.Source),
		})
	}
	return watched
}

func sourceConfig(name string, s config.Source) source.Config {
	c := source.Config{
		Name: name, Type: s.Type, Insecure: s.Insecure, Username: s.Username, Header: s.Header,
		Tolerance: time.Duration(s.Tolerance),
	}
	for _, secret := range s.Resolved {
		c.Secrets = append(c.Secrets,
			source.Secret{Value: secret.Value, NotBefore: secret.NotBefore, NotAfter: secret.NotAfter})
	}
	if g := s.Generic; g != nil {
		c.Generic = &source.Generic{
			Scheme: g.Scheme, Header: g.Header, Algorithm: g.Algorithm, Encoding: g.Encoding, Prefix: g.Prefix,
			EventHeader: g.EventHeader, EventPath: g.EventPath, IDHeader: g.IDHeader, IDPath: g.IDPath, KeyPath: g.KeyPath,
		}
	}
	return c
}

func (d *daemon) handler(h config.Handler) (built handler.Handler, closes func(), err error) {
	closes = func() {}
	switch h.Type {
	case "log":
		return logger.New(d.log), closes, nil
	case "forward":
		sink, err := d.forward(h)
		if err != nil {
			return nil, nil, err
		}
		return sink, sink.Close, nil
	case "remote":
		if err := d.remoteHub(); err != nil {
			return nil, nil, fmt.Errorf("remote: %w", err)
		}
		return d.hub.Handler(h.Kind), closes, nil
	case "exec":
		inputs, err := newInputs(h)
		if err != nil {
			return nil, nil, err
		}
		built, err = exec.New(exec.Config{
			Command: h.Command, Dir: h.Dir, Env: h.Env, Set: h.Set, KillGrace: time.Duration(h.KillGrace),
			MaxOutputBytes: int(h.MaxOutputBytes), DiscardCodes: h.DiscardCodes,
			MaxMemoryBytes: int64(h.MaxMemory), MaxCPU: time.Duration(h.MaxCPU),
			Variables: inputs.names, Inputs: inputs.of,
		})
		return built, closes, err
	default:
		return nil, nil, fmt.Errorf("type: %q is none of log, forward, exec, remote", h.Type)
	}
}

func (d *daemon) forward(h config.Handler) (*forward.Handler, error) {
	c := forward.Config{
		URL: h.URL, Timeout: time.Duration(h.Timeout), Headers: h.Headers, PassHeaders: h.PassHeaders,
		CAFile: h.CA, CertFile: h.Cert, KeyFile: h.Key, MaxResponseBytes: int(h.MaxResponseBytes),
		MaxIdleConns: d.config.NumWorkers, DiscardStatuses: h.DiscardStatuses,
	}
	if c.Timeout == 0 {
		c.Timeout = time.Duration(d.config.Tasks.Timeout)
	}
	for _, text := range h.Allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("allow: %w", err)
		}
		c.Allow = append(c.Allow, prefix)
	}
	for _, text := range h.SigningKeys {
		key, err := forward.ParseSigningKey(text)
		if err != nil {
			return nil, err
		}
		c.SigningKeys = append(c.SigningKeys, key)
	}
	options := []forward.Option{forward.WithVersion(d.options.Version)}
	if h.SignAs != nil {
		signer, err := newSignAs(*h.SignAs)
		if err != nil {
			return nil, fmt.Errorf("sign_as: %w", err)
		}
		options = append(options, forward.WithSigner(signer))
	}
	return forward.New(c, options...)
}

// signAs is forward.Signer: it signs as the sender of a source does.
type signAs struct{ source.Signer }

func newSignAs(c config.SignAs) (signAs, error) {
	construct, known := sources.All()[c.Type]
	if !known {
		return signAs{}, fmt.Errorf("type: %q is none of %v", c.Type, sources.Types())
	}
	built, err := construct(source.Config{
		Name: c.Type, Type: c.Type, Username: c.Username, Secrets: []source.Secret{{Value: []byte(c.Secret)}},
	})
	if err != nil {
		return signAs{}, err
	}
	signer, signs := built.(source.Signer)
	if !signs {
		return signAs{}, fmt.Errorf("type: %s cannot sign", c.Type)
	}
	return signAs{signer}, nil
}

// Sign translates the header block there and back.
func (s signAs) Sign(header []handler.Header, body []byte, now time.Time) ([]handler.Header, error) {
	block := make(source.Header, len(header))
	for i, h := range header {
		block[i] = source.Field{Name: h.Name, Value: h.Value}
	}
	signed, err := s.Signer.Sign(block, body, now)
	if err != nil {
		return nil, err
	}
	result := make([]handler.Header, len(signed))
	for i, f := range signed {
		result[i] = handler.Header{Name: f.Name, Value: f.Value}
	}
	return result, nil
}

func (d *daemon) httpConfig() hthttp.Config {
	h := d.config.HTTP
	c := hthttp.Config{
		Listen: h.Listen, AdminListen: h.AdminListen, AllowedHosts: h.AllowedHosts,
		ClientAddress: h.ClientAddress, TrustedProxies: h.TrustedProxies,
		TLSCert: h.TLS.Cert, TLSKey: h.TLS.Key, ClientCA: h.TLS.ClientCA,
		MaxBodyBytes: int(h.MaxBodyBytes), MaxHeaderBytes: int(h.MaxHeaderBytes),
		MaxConnections: h.MaxConnections, MaxConnectionsPerIP: h.MaxConnectionsPerIP,
		MaxInflightRequests: h.MaxInflightRequests, MaxInflightBytes: int(h.MaxInflightBytes),
		ReadTimeout: time.Duration(h.ReadTimeout), WriteTimeout: time.Duration(h.WriteTimeout),
		IdleTimeout: time.Duration(h.IdleTimeout), DrainDelay: time.Duration(h.DrainDelay),
	}
	for _, token := range h.AdminTokens {
		digest := sha256.Sum256([]byte(token))
		c.AdminTokens = append(c.AdminTokens, hex.EncodeToString(digest[:]))
	}
	for _, one := range h.ClientCertificates {
		c.Certificates = append(c.Certificates, hthttp.Certificate{Name: one.Name, Subject: one.Subject, Scope: one.Scope})
	}
	for _, t := range h.Tokens {
		c.Tokens = append(c.Tokens, hthttp.Token{Name: t.Name, Hash: t.Hash, Scope: t.Scope})
	}
	return c
}

func (d *daemon) actorsConfig() actors.Config {
	c := d.config
	return actors.Config{
		Workers: c.NumWorkers, MaxAttempts: c.MaxRetryAttempts,
		AttemptTimeout: time.Duration(c.Tasks.Timeout), Grace: time.Duration(c.Tasks.Grace),
		BackoffBase: time.Duration(c.Tasks.BackoffBase), BackoffCap: time.Duration(c.Tasks.BackoffCap),
		QuarantineAfter: c.Tasks.Quarantine,
		MaxWaiting:      c.Tasks.MaxWaiting, MaxFinished: c.MaxTasks, CleanupAge: time.Duration(c.CleanupAge),
		SnapshotInterval: time.Duration(c.PersistenceInterval),
	}
}

func (d *daemon) walConfig() wal.Config {
	j := d.config.Journal
	return wal.Config{SegmentBytes: int64(j.SegmentBytes), MaxBytes: int64(j.MaxBytes), HighWater: j.HighWater}
}
