package exec

// head keeps the first bytes of what is written to it and takes the rest without keeping it, so that a program which
// says more than we keep does not block on a full pipe.
type head struct {
	kept []byte
	max  int
}

// Write keeps what still fits and never fails.
func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), h.max-len(h.kept))]...)
	return len(p), nil
}

// tail keeps the last bytes of what is written to it.
type tail struct {
	kept []byte
	max  int
}

// Write drops what is too old and never fails.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	p = p[max(0, len(p)-t.max):]
	if drop := len(t.kept) + len(p) - t.max; drop > 0 {
		t.kept = t.kept[:copy(t.kept, t.kept[drop:])]
	}
	t.kept = append(t.kept, p...)
	return n, nil
}
