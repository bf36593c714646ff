package httphead

import "math/rand/v2"

// RequestID is the header, in canonical form, that names a request in every log that it
// comes through.
const RequestID = "X-Request-Id"

const (
	idLength    = 20  // of our own: 100 random bits
	maxIDLength = 128 // of a trusted proxy's
)

// NewID returns a new request ID.
func NewID() string {
	var room [idLength]byte
	return string(AppendID(room[:0]))
}

// AppendID appends a new request ID.
func AppendID(b []byte) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	for range 2 {
		bits := rand.Uint64()
		for range idLength / 2 {
			b = append(b, digits[bits&31])
			bits >>= 5
		}
	}
	return b
}

// ValidID reports whether a proxy's request ID may go into logs and answers. It has the
// characters of UUIDs, hexadecimal, base64 and trace IDs.
func ValidID(id string) bool {
	if id == "" || len(id) > maxIDLength {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '+', c == '/', c == '=', c == '@', c == '~':
		default:
			return false
		}
	}
	return true
}
