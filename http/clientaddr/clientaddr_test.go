package clientaddr_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/http/clientaddr"
)

const (
	proxy  = "10.0.0.1"
	client = "203.0.113.7"
	liar   = "198.51.100.9"
	six    = "2001:db8::7"
)

func trusted(t testing.TB) clientaddr.Prefixes {
	t.Helper()
	prefixes, err := clientaddr.ParsePrefixes("proxies", []string{"10.0.0.0/16", "fd00::1"})
	if err != nil {
		t.Fatal(err)
	}
	return prefixes
}

func resolve(t testing.TB, scheme clientaddr.Scheme, peer string, lines ...string) clientaddr.Client {
	t.Helper()
	raw := make([][]byte, len(lines))
	for i, line := range lines {
		raw[i] = []byte(line)
	}
	return clientaddr.Resolver{Scheme: scheme, Trusted: trusted(t)}.
		Resolve(&net.TCPAddr{IP: net.ParseIP(peer), Port: 4711}, raw)
}

// hidden marks a wanted client that a trusted proxy does not name.
const hidden = " hidden"

func check(t *testing.T, got clientaddr.Client, want string) {
	t.Helper()
	addr, isHidden := strings.CutSuffix(want, hidden)
	if got.String() != addr || got.Hidden != isHidden {
		t.Errorf("the client is %s, hidden %t; want %s", got, got.Hidden, want)
	}
}

func TestXForwardedFor(t *testing.T) {
	for name, c := range map[string]struct {
		peer  string
		lines []string
		want  string
	}{
		"no proxy":                   {client, nil, client},
		"a client that claims":       {client, []string{liar}, client},
		"a proxy that says nothing":  {proxy, nil, proxy},
		"a proxy":                    {proxy, []string{client}, client},
		"a client that lied before":  {proxy, []string{liar + ", " + client}, client},
		"lies that are no address":   {proxy, []string{`nonsense", ,` + client}, client},
		"lines of its own":           {proxy, []string{liar, client}, client},
		"two proxies":                {proxy, []string{client + ",10.0.0.2"}, client},
		"two proxies, two lines":     {proxy, []string{client, "10.0.0.2"}, client},
		"a trusted one of IPv6":      {"fd00::1", []string{six}, six},
		"nothing but proxies":        {proxy, []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"a proxy that is not listed": {"10.9.0.1", []string{client}, "10.9.0.1"},
		"one amid, not listed":       {proxy, []string{liar + ", 10.9.0.1"}, "10.9.0.1"},
		"IPv4 within IPv6":           {"::ffff:" + proxy, []string{"::ffff:" + client}, client},
		"a lie within IPv6":          {"::ffff:" + client, []string{liar}, client},
		"a port":                     {proxy, []string{client + ":4711"}, client},
		"a port and brackets":        {proxy, []string{"[" + six + "]:4711"}, six},
		"brackets":                   {proxy, []string{"[" + six + "]"}, six},
		"no address":                 {proxy, []string{client + ", somewhere"}, proxy + hidden},
		"no address further on":      {proxy, []string{client + ", unknown, 10.0.0.2"}, "10.0.0.2" + hidden},
		"an empty line":              {proxy, []string{client, ""}, proxy + hidden},
		"an empty hop":               {proxy, []string{client + ", "}, proxy + hidden},
		"a zone":                     {proxy, []string{"fe80::1%eth0"}, proxy + hidden},
		"a port that is none":        {proxy, []string{client + ":x"}, proxy + hidden},
		"a port of six digits":       {proxy, []string{client + ":471100"}, proxy + hidden},
		"brackets around IPv4":       {proxy, []string{"[" + client + "]"}, proxy + hidden},
		"brackets left open":         {proxy, []string{"[" + six}, proxy + hidden},
		"text behind brackets":       {proxy, []string{"[" + six + "]x"}, proxy + hidden},
		"the form of Forwarded":      {proxy, []string{"for=" + client}, proxy + hidden},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, resolve(t, clientaddr.XForwardedFor, c.peer, c.lines...), c.want)
		})
	}
}

func TestForwarded(t *testing.T) {
	for name, c := range map[string]struct {
		peer  string
		lines []string
		want  string
	}{
		"no proxy":                  {client, []string{"for=" + liar}, client},
		"a proxy that says nothing": {proxy, nil, proxy},
		"a proxy":                   {proxy, []string{"for=" + client}, client},
		"any letter case":           {proxy, []string{"FOR=" + client}, client},
		"further parameters":        {proxy, []string{"proto=https;for=" + client + ";by=10.0.0.1; host=a.example"}, client},
		"quotes":                    {proxy, []string{`for="` + client + `:4711"`}, client},
		"backslashes":               {proxy, []string{`for="203.0.113\.7"`}, client},
		"IPv6":                      {proxy, []string{`for="[` + six + `]"`}, six},
		"IPv6 and a port":           {proxy, []string{`for="[` + six + `]:4711"`}, six},
		"a hidden port":             {proxy, []string{`for="` + client + `:_p"`}, client},
		"IPv4 within IPv6":          {proxy, []string{`for="[::ffff:` + client + `]"`}, client},
		"a client that lied before": {proxy, []string{"for=" + liar + ", for=" + client}, client},
		"a lie in a line of its own": {
			proxy, []string{`for="`, "for=" + client}, client,
		},
		"two proxies":             {proxy, []string{"for=" + client + ", for=10.0.0.2"}, client},
		"a comma within quotes":   {proxy, []string{`for=` + liar + `;x="a, b", for=` + client}, client},
		"nobody":                  {proxy, []string{"for=unknown"}, proxy + hidden},
		"an obfuscated name":      {proxy, []string{"for=" + client + ", for=_hidden"}, proxy + hidden},
		"one further on":          {proxy, []string{"for=_hidden, for=10.0.0.2"}, "10.0.0.2" + hidden},
		"one that nobody asks":    {proxy, []string{"for=_hidden, for=" + client}, client},
		"without for":             {proxy, []string{"for=" + client + ", by=10.0.0.1"}, proxy + hidden},
		"for twice":               {proxy, []string{"for=" + client + ";for=" + liar}, proxy + hidden},
		"IPv6 without quotes":     {proxy, []string{"for=[" + six + "]"}, proxy + hidden},
		"a port without quotes":   {proxy, []string{"for=" + client + ":1"}, proxy + hidden},
		"the form of the other":   {proxy, []string{client}, proxy + hidden},
		"an empty line":           {proxy, []string{""}, proxy + hidden},
		"an empty value":          {proxy, []string{"for="}, proxy + hidden},
		"an empty element":        {proxy, []string{"for=" + client + ","}, proxy + hidden},
		"a semicolon at the end":  {proxy, []string{"for=" + client + ";"}, proxy + hidden},
		"text behind a value":     {proxy, []string{`for="` + client + `"x`}, proxy + hidden},
		"a backslash at the end":  {proxy, []string{`for="` + client + `\`}, proxy + hidden},
		"an open quote":           {proxy, []string{`for=` + liar + `;x=", for=` + client}, proxy + hidden},
		"an open quote, and more": {proxy, []string{`for=` + liar + `;x=", for="` + client + `"`}, proxy + hidden},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, resolve(t, clientaddr.Forwarded, c.peer, c.lines...), c.want)
		})
	}
}

func TestOtherSchemesReadNoHeader(t *testing.T) {
	for _, scheme := range []clientaddr.Scheme{clientaddr.None, clientaddr.ProxyProtocol} {
		check(t, resolve(t, scheme, proxy, liar), proxy)
	}
}

func TestOf(t *testing.T) {
	known := clientaddr.Client{Addr: netip.MustParseAddr(client), Hidden: true}
	if got := clientaddr.Of(known); got != known {
		t.Errorf("of itself: %+v", got)
	}
	nobody := clientaddr.Of(&net.UnixAddr{})
	if nobody.Addr.IsValid() || nobody.In(trusted(t)) {
		t.Errorf("of a socket: %+v", nobody)
	}
	local := clientaddr.Of(&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"})
	if local.String() != "fe80::1" || local.Network() != "tcp" {
		t.Errorf("with a zone: %v", local)
	}
}

func TestAHiddenClientIsInNoNetwork(t *testing.T) {
	everybody := clientaddr.Prefixes{netip.MustParsePrefix("0.0.0.0/0")}
	one := clientaddr.Client{Addr: netip.MustParseAddr(proxy)}
	if !one.In(everybody) {
		t.Error("a known client is in no network")
	}
	one.Hidden = true
	if one.In(everybody) {
		t.Error("a hidden client is in a network")
	}
}

func TestSchemesAndWords(t *testing.T) {
	for word, header := range map[string]string{
		"none": "", "forwarded": "Forwarded", "x-forwarded-for": "X-Forwarded-For", "proxy-protocol": "",
	} {
		scheme, err := clientaddr.ParseScheme(word)
		if err != nil || scheme.String() != word || scheme.Header() != header {
			t.Errorf("%s: %v, header %q, %v", word, scheme, scheme.Header(), err)
		}
	}
	if scheme, err := clientaddr.ParseScheme(""); scheme != clientaddr.None || err != nil {
		t.Errorf("nothing: %v, %v", scheme, err)
	}
	if _, err := clientaddr.ParseScheme("X-Forwarded-For"); err == nil {
		t.Error("another letter case was taken")
	}
}

func TestParsePrefixes(t *testing.T) {
	got, err := clientaddr.ParsePrefixes("key", []string{"10.1.2.3/8", "::1", "::ffff:192.0.2.1", "2001:db8::/32"})
	if want := "[10.0.0.0/8 ::1/128 192.0.2.1/32 2001:db8::/32]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v; want %s", got, err, want)
	}
	_, err = clientaddr.ParsePrefixes("key", []string{"::/0", "proxy", "10.0.0.0/33", "::ffff:10.0.0.0/104", "fe80::1%eth0"})
	for _, want := range []string{"key[1]", "key[2]", "key[3]", "write it in IPv4", "key[4]"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

// Whatever a client writes, and however it writes it, the address that the proxy appends is what counts, or none is.
func TestAClientNeverChoosesItsAddress(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		quoted := rapid.SampledFrom([]string{client, `"` + client + `"`, `"` + client + `:1"`}).Draw(r, "form")
		claim := rapid.StringMatching(`[for=;,:"\\ .0-9\[\]x_]{0,40}`).Draw(r, "claim")
		by := rapid.SampledFrom([]string{"", `;by="10.0.0.1"`, ";proto=http"}).Draw(r, "by")
		for _, got := range []clientaddr.Client{
			resolve(t, clientaddr.Forwarded, proxy, claim+", for="+quoted+by),
			resolve(t, clientaddr.Forwarded, proxy, claim, "for="+quoted+by),
			resolve(t, clientaddr.XForwardedFor, proxy, claim+", "+client),
			resolve(t, clientaddr.XForwardedFor, proxy, claim, client),
		} {
			if got.String() != client && (got.String() != proxy || !got.Hidden) {
				r.Fatalf("after %q the client is %+v", claim, got)
			}
		}
	})
}

// sound fails unless an answer is one that the walk may give: unmapped, without a zone, and hidden only behind a proxy.
func sound(t *testing.T, got clientaddr.Client) {
	t.Helper()
	if !got.Addr.IsValid() || got.Addr.Is4In6() || got.Addr.Zone() != "" {
		t.Errorf("the client is %v", got)
	}
	if got.Hidden && !trusted(t).Contains(got.Addr) {
		t.Errorf("%v is hidden and no proxy", got)
	}
}

func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"for=1.2.3.4", `for="[::1]:1";by=_x, for=unknown`, `for="`, `a="\",";for=_`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) { sound(t, resolve(t, clientaddr.Forwarded, proxy, line)) })
}

func FuzzXForwardedFor(f *testing.F) {
	for _, seed := range []string{"1.2.3.4", "::ffff:1.2.3.4, 10.0.0.2", "[::1]:1,", "fe80::1%a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) { sound(t, resolve(t, clientaddr.XForwardedFor, proxy, line)) })
}

func FuzzParsePrefixes(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "::1", "::ffff:1.2.3.4/100", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		prefixes, err := clientaddr.ParsePrefixes("key", []string{text})
		if err == nil && !prefixes.Contains(prefixes[0].Addr()) {
			t.Errorf("%q is %v, which does not hold its own address", text, prefixes)
		}
	})
}
