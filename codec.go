package dbos

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"

	"github.com/dbos-go/dbos/abi"
)

// A Codec turns inputs, outputs and events into bytes and back.
type Codec interface {
	// Name is recorded with each run. "json" is the built-in codec.
	Name() string
	Marshal(v any) ([]byte, error)
	// Unmarshal stores the value in what v points to.
	Unmarshal(data []byte, v any) error
}

// MaxPayload is the largest input, output or event, in encoded bytes. Larger
// things belong into tables or files, and the payload names them.
const MaxPayload = 1 << 20

const jsonName = "json"

type jsonCodec struct{}

func (jsonCodec) Name() string                       { return jsonName }
func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// encode returns the stored text of a value: JSON as it is, so that SQL can
// read it, the bytes of another codec in base64.
func encode(c Codec, what string, v any) (string, error) {
	data, err := c.Marshal(v)
	if err != nil {
		return "", abi.Errorf("dbos.encode", abi.Invalid, what, "%w", err).
			WithHint("use types that the %s codec can encode", c.Name())
	}
	return store(c, what, data)
}

// storeRaw is encode for a value that is encoded already.
func storeRaw(c Codec, what string, data []byte) (string, error) {
	if c.Name() != jsonName {
		return store(c, what, data)
	}
	if !json.Valid(data) {
		return "", abi.Errorf("dbos.encode", abi.Invalid, what, "it is not valid JSON").
			WithHint("pass one JSON value, with strings in double quotes")
	}
	return encode(c, what, json.RawMessage(data))
}

func store(c Codec, what string, data []byte) (string, error) {
	if len(data) > MaxPayload {
		return "", abi.Errorf("dbos.encode", abi.Exhausted, what, "it has %d bytes; at most %d are allowed", len(data), MaxPayload).
			WithHint("store it in a table or file and pass its name")
	}
	if c.Name() == jsonName {
		return string(data), nil
	}
	return base64.StdEncoding.EncodeToString(data), nil
}

// decode reads the stored text of a value.
func decode(c Codec, what, text string, v any) error {
	data := []byte(text)
	if c.Name() != jsonName {
		var err error
		if data, err = base64.StdEncoding.DecodeString(text); err != nil {
			return abi.Errorf("dbos.decode", abi.Corrupt, what, "%w", err)
		}
	}
	if err := c.Unmarshal(data, v); err != nil {
		return abi.Errorf("dbos.decode", abi.Invalid, what, "%w", err).
			WithHint("the stored value does not fit the program's type; was the type changed?")
	}
	return nil
}

// digest identifies the arguments of a step: SHA-256 over their encoding, the
// first 16 bytes in hexadecimal.
func digest(text string) *string {
	sum := sha256.Sum256([]byte(text))
	return new(hex.EncodeToString(sum[:16]))
}
