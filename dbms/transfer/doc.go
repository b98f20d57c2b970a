// Package transfer copies a system from one database to another, whatever
// their engines: the tables of the services and of the application with their
// rows, in one transaction of the target, verified by checksums.
//
// It stands in Level 2, beside the engines, and knows their catalogs; what the
// tables mean it does not know. The services' tables have to be in the target
// already, made by the services' own migrations. The application's tables are
// made from the source's definitions, or used if they are there and empty.
package transfer
