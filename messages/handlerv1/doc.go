// Package handlerv1 is what a daemon and the handler members on other hosts say to each other, generated from
// proto/handler/v1; package handler/remote says in which order.
package handlerv1
