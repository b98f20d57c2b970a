module github.com/dbos-go/dbos

go 1.26
