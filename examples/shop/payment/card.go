package payment

import (
	"strings"

	"github.com/dbos-go/dbos/abi"
)

// Cards to try. The service declines every card whose number ends in 0002
// and charges all others.
const (
	CardThatPays     = "4242 4242 4242 4242"
	CardThatDeclines = "4000 0000 0000 0002"
)

// CheckCard returns the digits of a card number as people write it, with
// spaces or dashes between them. It refuses with abi.Invalid what cannot be a
// card number: other characters, a length other than 12 to 19 digits, a wrong
// check digit.
func CheckCard(number string) (string, error) {
	digits := strings.NewReplacer(" ", "", "-", "").Replace(number)
	switch n := len(digits); {
	case digits == "":
		return "", badCard("it is empty")
	case strings.Trim(digits, "0123456789") != "":
		return "", badCard("it contains something else than digits, spaces and dashes")
	case n < 12 || n > 19:
		return "", badCard("it has %d digits; card numbers have 12 to 19", n)
	case !luhn(digits):
		return "", badCard("its last digit does not fit the others; check it for a slip")
	}
	return digits, nil
}

func badCard(format string, args ...any) error {
	return abi.Errorf("payment.card", abi.Invalid, "card", format, args...).
		WithHint("to try the shop, use %s, or %s to be declined", CardThatPays, CardThatDeclines)
}

// luhn reports whether the last digit is the check digit of the others.
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
			if d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// Mask returns a card number as it may be shown and kept: its last four
// digits.
func Mask(digits string) string {
	return "•••• " + digits[max(0, len(digits)-4):]
}

func declines(digits string) bool { return strings.HasSuffix(digits, "0002") }
