// Package measure is what the measurements share: driving a load, the
// statistics of its result, the machine it ran on, and the table that shows
// it. It measures nothing by itself and knows nothing of DBOS.
package measure
