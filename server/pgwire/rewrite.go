package pgwire

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// namesCatalog reports whether a statement asks PostgreSQL about itself: for its
// catalogs, its functions or its types.
func namesCatalog(tokens []token) bool {
	for i, t := range tokens {
		if t.kind != identToken && t.kind != quotedToken {
			continue
		}
		_, relation := catalogRelations()[t.value]
		_, function := functions[t.value]
		_, cast := registered[t.value]
		switch {
		case t.value == "pg_catalog" || t.value == "information_schema", relation && strings.HasPrefix(t.value, "pg_"):
			return true
		case function && i+1 < len(tokens) && tokens[i+1].op("(") && (i == 0 || !tokens[i-1].op(".")):
			return true
		case cast && i > 0 && tokens[i-1].op("::"):
			return true
		case slices.Contains(userWords, t.value) && t.kind == identToken && (i == 0 || !tokens[i-1].op(".")):
			return true
		}
	}
	return false
}

// withCatalog returns a statement that names PostgreSQL's catalogs as one that
// DuckDB can run: the relations that it names stand before it as common table
// expressions, made from the tables of the moment, and what DuckDB cannot read
// is written otherwise. It only ever reads what the statement reads. The rows of the relations
// are arguments behind those of the statement.
func (s *session) withCatalog(ctx context.Context, at string, st *statement) (sql string, rows []any, err error) {
	r := &rewriter{s: s, st: st, used: map[string]bool{}}
	text := r.rewrite(0, len(st.tokens))
	if r.err != nil || len(r.used) == 0 {
		return text, nil, r.err
	}
	tables, err := tables(ctx, s.source, at)
	if err != nil {
		return "", nil, err
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(r.used)) {
		cte, content := s.cte(name, tables, st.parameters()+len(rows)+1)
		if list = append(list, cte); content != nil {
			rows = append(rows, content)
		}
	}
	ctes := strings.Join(list, ",\n")
	if st.verb != "with" {
		return "WITH " + ctes + "\n" + text, rows, nil
	}
	words := strings.Fields(text)
	if len(words) > 1 && strings.EqualFold(words[1], "recursive") {
		at := strings.Index(strings.ToLower(text), "recursive") + len("recursive")
		return "WITH RECURSIVE " + ctes + ",\n" + text[at:], rows, nil
	}
	return "WITH " + ctes + ",\n" + text[len("with"):], rows, nil
}

// A rewriter writes the tokens of a statement anew.
type rewriter struct {
	s    *session
	st   *statement
	used map[string]bool // relations that have been named
	err  error
}

// A piece is the text for the tokens from one on.
type piece struct {
	first int
	text  string
}

// A line is a part of a statement as far as it has been written.
type line struct {
	pieces []piece
	// selecting says that the pieces are what a SELECT returns.
	selecting bool
}

func (l *line) add(first int, text string) { l.pieces = append(l.pieces, piece{first, text}) }

// take removes the pieces of the tokens from one on, and returns their text.
func (l *line) take(first int) string {
	i := len(l.pieces)
	for i > 0 && l.pieces[i-1].first >= first {
		i--
	}
	taken := l.pieces[i:]
	l.pieces = l.pieces[:i]
	return join(taken)
}

func join(pieces []piece) string {
	var b strings.Builder
	for i, p := range pieces {
		if i > 0 && !tight(pieces[i-1].text, p.text) {
			b.WriteByte(' ')
		}
		b.WriteString(p.text)
	}
	return b.String()
}

// tight reports whether no blank may stand between two pieces.
func tight(left, right string) bool {
	return left == "." || right == "." || right == "(" || right == "["
}

// rewrite writes the tokens from lo to hi.
func (r *rewriter) rewrite(lo, hi int) string {
	l := &line{}
	for i := lo; i < hi; {
		i = r.step(l, i, hi)
	}
	return join(l.pieces)
}

// step writes what begins at a token and returns the token after it.
func (r *rewriter) step(l *line, i, hi int) int {
	tokens := r.st.tokens
	t := tokens[i]
	switch {
	case t.op("("):
		end := r.closing(i, hi)
		l.add(i, "("+r.rewrite(i+1, end)+")")
		return min(end+1, hi)
	case t.op("::"):
		return r.cast(l, i, hi)
	case t.is("cast") && i+1 < hi && tokens[i+1].op("("):
		return r.castCall(l, i, hi)
	case t.is("operator") && i+1 < hi && tokens[i+1].op("("):
		end := r.closing(i+1, hi)
		return r.operator(l, i, tokens[max(end-1, i)].text, end+1, hi)
	case t.kind == opToken && strings.Contains(t.text, "~") && len(t.text) <= 3:
		return r.operator(l, i, t.text, i+1, hi)
	case t.is("collate") && i+1 < hi:
		return r.collate(l, i, hi)
	case t.kind == stringToken && listShape.MatchString(t.text):
		l.add(i, "'["+t.value[1:len(t.value)-1]+"]'")
		return i + 1
	case t.kind == identToken || t.kind == quotedToken:
		return r.name(l, i, hi)
	}
	l.add(i, t.text)
	return i + 1
}

// listShape are the texts of arrays of numbers, which DuckDB has in brackets.
var listShape = regexp.MustCompile(`^'\{[0-9, ]*\}'$`)

// closing returns the token that closes the parenthesis at one.
func (r *rewriter) closing(open, hi int) int {
	depth := 0
	for i := open; i < hi; i++ {
		switch {
		case r.st.tokens[i].op("("):
			depth++
		case r.st.tokens[i].op(")"):
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return hi
}

// name writes a word: a relation, a function, or what it is.
func (r *rewriter) name(l *line, i, hi int) int {
	tokens := r.st.tokens
	t, begin := tokens[i], i
	if t.kind == identToken {
		switch t.value {
		case "select":
			l.selecting = true
		case "from", "where", "union", "order", "group", "limit", "having", "intersect", "except":
			l.selecting = false
		}
	}
	member := i > 0 && tokens[i-1].op(".")
	qualified := i+2 < hi && tokens[i+1].op(".") && !member
	switch {
	case qualified && t.value == "pg_catalog":
		i += 2
		t, member = tokens[i], false
	case qualified && t.value == "information_schema":
		return r.schemaRelation(l, i, hi)
	}
	if member {
		l.add(begin, t.text)
		return i + 1
	}
	if function, ok := functions[t.value]; ok && i+1 < hi && tokens[i+1].op("(") {
		end := r.closing(i+1, hi)
		l.add(begin, function(r, r.arguments(i+2, end))+r.alias(l, begin, min(end+1, hi), hi, t.value))
		return min(end+1, hi)
	}
	if t.kind == identToken && slices.Contains(userWords, t.value) {
		end := i + 1
		if end+1 < hi && tokens[end].op("(") && tokens[end+1].op(")") {
			end += 2
		}
		l.add(begin, literal(r.s.user)+r.alias(l, begin, end, hi, t.value))
		return end
	}
	if !l.selecting && slices.Contains([]string{"generate_series", "unnest"}, t.value) && i+1 < hi && tokens[i+1].op("(") {
		return r.tableFunction(l, begin, i, hi)
	}
	if _, ok := catalogRelations()[t.value]; ok && strings.HasPrefix(t.value, "pg_") {
		r.used[t.value] = true
	}
	l.add(begin, t.text)
	return i + 1
}

// tableFunction writes a function that gives rows of one column. With
// PostgreSQL its alias is the name of the column too.
func (r *rewriter) tableFunction(l *line, begin, i, hi int) int {
	tokens := r.st.tokens
	end := r.closing(i+1, hi)
	l.add(begin, tokens[i].text+"("+r.rewrite(i+2, end)+")")
	next := min(end+1, hi)
	if next < hi && tokens[next].is("as") {
		next++
	}
	if next >= hi || !aliases(tokens[next]) || next+1 < hi && tokens[next+1].op("(") {
		return min(end+1, hi)
	}
	name := quoteName(tokens[next].value)
	l.add(next, name+"("+name+")")
	return next + 1
}

// schemaRelation writes a relation of information_schema.
func (r *rewriter) schemaRelation(l *line, i, hi int) int {
	tokens := r.st.tokens
	name := tokens[i+2].value
	relation := "information_schema_" + name
	if _, ok := catalogRelations()[relation]; !ok {
		r.err = failure("42P01", "relation \"information_schema.%s\" does not exist", name)
		return hi
	}
	r.used[relation] = true
	if i+3 < hi && tokens[i+3].op(".") {
		l.add(i, quoteName(name)) // of a column: the relation has its own name as its alias
		return i + 3
	}
	text := relation
	if next := i + 3; next >= hi || !aliases(tokens[next]) {
		text += " AS " + quoteName(name)
	}
	l.add(i, text)
	return i + 3
}

// aliases reports whether a token behind a relation gives it another name.
func aliases(t token) bool {
	return t.kind == quotedToken || t.kind == identToken && (t.value == "as" || !slices.Contains(afterRelation, t.value))
}

// afterRelation are the words that may follow a relation and are no alias.
var afterRelation = []string{
	"where", "join", "left", "right", "inner", "outer", "full", "cross", "natural", "on", "using", "group", "order", "having", "limit", "offset",
	"union", "intersect", "except", "fetch", "for", "window", "tablesample", "lateral", "qualify", "asof", "semi", "anti", "positional",
}

// alias returns the name that PostgreSQL gives to a column that is a function's
// value, where the column has no other.
func (r *rewriter) alias(l *line, first, next, hi int, name string) string {
	tokens := r.st.tokens
	if !l.selecting || first == 0 || !(tokens[first-1].op(",") || tokens[first-1].is("select", "distinct", "all")) {
		return ""
	}
	if next < hi && !tokens[next].op(",") && !tokens[next].is("from", "where", "order", "group", "limit", "union") {
		return ""
	}
	return " AS " + quoteName(name)
}

// arguments writes the arguments from lo to hi, which is the closing
// parenthesis.
func (r *rewriter) arguments(lo, hi int) []string {
	var args []string
	depth, begin := 0, lo
	for i := lo; i < hi; i++ {
		t := r.st.tokens[i]
		switch {
		case t.op("(") || t.op("["):
			depth++
		case t.op(")") || t.op("]"):
			depth--
		case depth == 0 && t.op(","):
			args = append(args, r.rewrite(begin, i))
			begin = i + 1
		}
	}
	if begin < hi {
		args = append(args, r.rewrite(begin, hi))
	}
	return args
}

// collate leaves out the collations that DuckDB has no name for and that are its
// own order.
func (r *rewriter) collate(l *line, i, hi int) int {
	end := i + 1
	if end+2 < hi && r.st.tokens[end+1].op(".") {
		end += 2
	}
	if slices.Contains([]string{"default", "C", "c", "POSIX", "posix", "ucs_basic", "C.UTF-8"}, r.st.tokens[end].value) {
		return end + 1
	}
	l.add(i, "COLLATE "+r.st.tokens[end].text)
	return end + 1
}

// operator writes an operator for patterns. DuckDB's ~ is for the whole text,
// PostgreSQL's for a part of it.
func (r *rewriter) operator(l *line, i int, op string, right, hi int) int {
	match := strings.TrimSuffix(op, "*")
	if match != "~" && match != "!~" {
		l.add(i, op)
		return min(right, hi)
	}
	flags := "(?s)"
	if op != match {
		flags = "(?is)"
	}
	end := r.operand(right, hi)
	pattern := r.rewrite(right, end)
	l.add(i, match+" ('"+flags+".*(?:' || ("+pattern+") || ').*')")
	return end
}

// operand returns the token after the operand that begins at one: a literal, a
// name, a call or what is in parentheses.
func (r *rewriter) operand(i, hi int) int {
	tokens := r.st.tokens
	if i >= hi {
		return hi
	}
	if tokens[i].op("(") {
		return min(r.closing(i, hi)+1, hi)
	}
	for i++; i+1 < hi && tokens[i].op("."); {
		i += 2
	}
	if i < hi && tokens[i].op("(") {
		i = r.closing(i, hi) + 1
	}
	return min(i, hi)
}

// castTypes are PostgreSQL's types that DuckDB has under another name.
var castTypes = map[string]string{
	"name": "VARCHAR", "text": "VARCHAR", "char": "VARCHAR", "bpchar": "VARCHAR", "oid": "BIGINT", "xid": "BIGINT", "cid": "BIGINT",
	"int2vector": "INTEGER[]", "oidvector": "BIGINT[]", "inet": "VARCHAR", "cidr": "VARCHAR", "jsonb": "JSON", "unknown": "VARCHAR",
	"sql_identifier": "VARCHAR", "character_data": "VARCHAR", "yes_or_no": "VARCHAR", "cardinal_number": "INTEGER", "regexp": "VARCHAR",
	"int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float4": "FLOAT", "float8": "DOUBLE", "bool": "BOOLEAN", "varchar": "VARCHAR",
	"aclitem": "VARCHAR", "pg_node_tree": "VARCHAR", "tid": "VARCHAR", "money": "DECIMAL(18,2)",
}

// registered are the types that name what a catalog holds: a cast from a text
// gives its OID, one from an OID its name. The value says which catalog.
var registered = map[string]string{
	"regclass": "class", "regtype": "type", "regnamespace": "namespace", "regrole": "role", "regproc": "none", "regprocedure": "none",
	"regoper": "none", "regoperator": "none", "regconfig": "none", "regdictionary": "none", "regcollation": "none",
}

// typeWord returns the type at a token, behind its schema if there is one, and
// the token after it.
func (r *rewriter) typeWord(i, hi int) (string, int) {
	tokens := r.st.tokens
	if i+2 < hi && tokens[i+1].op(".") {
		i += 2
	}
	if i >= hi {
		return "", hi
	}
	return tokens[i].value, i + 1
}

// cast writes ::type.
func (r *rewriter) cast(l *line, i, hi int) int {
	word, next := r.typeWord(i+1, hi)
	if catalog, ok := registered[word]; ok {
		first := r.operandBefore(i)
		text := r.register(catalog, l.take(first), r.st.tokens[first:i])
		l.add(first, text+r.alias(l, first, next, hi, word))
		return next
	}
	if duck, ok := castTypes[word]; ok {
		l.add(i, "::"+duck)
		return next
	}
	l.add(i, "::")
	if next > i+2 {
		l.add(next-1, r.st.tokens[next-1].text)
		return next
	}
	return i + 1
}

// castCall writes CAST(… AS type).
func (r *rewriter) castCall(l *line, i, hi int) int {
	end := r.closing(i+1, hi)
	depth := 0
	for j := i + 2; j < end; j++ {
		t := r.st.tokens[j]
		switch {
		case t.op("("):
			depth++
		case t.op(")"):
			depth--
		case depth == 0 && t.is("as"):
			operand := r.rewrite(i+2, j)
			word, next := r.typeWord(j+1, end)
			if catalog, ok := registered[word]; ok {
				l.add(i, r.register(catalog, operand, r.st.tokens[i+2:j]))
				return min(end+1, hi)
			}
			duck, ok := castTypes[word]
			if !ok {
				duck = r.st.tokens[max(next-1, j)].text
			}
			l.add(i, "CAST("+operand+" AS "+duck+" "+r.rewrite(next, end)+")")
			return min(end+1, hi)
		}
	}
	l.add(i, "CAST")
	return i + 1
}

// operandBefore returns the first token of the operand that ends before one.
func (r *rewriter) operandBefore(i int) int {
	tokens := r.st.tokens
	j := i - 1
	if j > 0 && tokens[j].op(")") {
		depth := 0
		for ; j >= 0; j-- {
			if tokens[j].op(")") {
				depth++
			} else if tokens[j].op("(") {
				if depth--; depth == 0 {
					break
				}
			}
		}
		if j > 0 && (tokens[j-1].kind == identToken || tokens[j-1].kind == quotedToken) {
			j--
		}
	}
	for j > 1 && tokens[j-1].op(".") {
		j -= 2
	}
	// A cast of a cast: 16385::oid::regclass.
	if j > 1 && tokens[j-1].op("::") {
		return r.operandBefore(j - 1)
	}
	return max(j, 0)
}

// register writes a cast to a type that names what a catalog holds.
func (r *rewriter) register(catalog, operand string, tokens []token) string {
	text := len(tokens) == 1 && tokens[0].kind == stringToken
	number := text && strings.Trim(tokens[0].value, "0123456789") == ""
	if number {
		operand = tokens[0].value
	}
	switch {
	case catalog == "class" && text && !number:
		return r.relationNumber(operand)
	case catalog == "class":
		r.used["pg_class"] = true
		return fmt.Sprintf("(SELECT k.relname FROM pg_class k WHERE k.oid = TRY_CAST(%s AS BIGINT))", operand)
	case catalog == "type" && text && !number:
		return typeNumber(operand)
	case catalog == "type":
		return typeName(operand)
	case catalog == "namespace" && text && !number:
		r.used["pg_namespace"] = true
		return fmt.Sprintf("(SELECT k.oid FROM pg_namespace k WHERE k.nspname = %s)", operand)
	case catalog == "namespace":
		r.used["pg_namespace"] = true
		return fmt.Sprintf("(SELECT k.nspname FROM pg_namespace k WHERE k.oid = TRY_CAST(%s AS BIGINT))", operand)
	case catalog == "role" && text && !number:
		return fmt.Sprint(owner)
	case catalog == "role":
		return literal(r.s.user)
	case text && !number:
		return "CAST(NULL AS BIGINT)" // there is no such thing
	}
	return "CAST(" + operand + " AS VARCHAR)"
}

// relationNumber is the OID of a relation that is named by a text, as a search
// in the tables of main and then by the whole name finds it.
func (r *rewriter) relationNumber(sql string) string {
	r.used["pg_class"], r.used["pg_namespace"] = true, true
	return fmt.Sprintf("(SELECT min(k.oid) FROM pg_class k JOIN pg_namespace kn ON kn.oid = k.relnamespace "+
		"WHERE replace(%[1]s, '\"', '') IN (kn.nspname || '.' || k.relname, CASE kn.nspname WHEN 'main' THEN k.relname END))", sql)
}
