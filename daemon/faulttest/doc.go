// Package faulttest is the cluster under faults: real processes, each in a network namespace of its own, behind the load
// balancer that operators are shown, with a load all the while that is checked to the last delivery. It holds tests only, and
// needs root, Linux, iproute2, HAProxy and PostgreSQL; where one of them is missing the tests skip themselves, and say so.
package faulttest
