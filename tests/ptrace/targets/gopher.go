// Goroutines, signals and a fault that is recovered from; work() is called 1000 times.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

//go:noinline
func work(n int) int { return n * 2 }

func main() {
	var group sync.WaitGroup
	var lock sync.Mutex
	total := 0
	signals := make(chan os.Signal, 100)
	signal.Notify(signals, syscall.SIGUSR1)
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 20; j++ {
				n := work(j)
				lock.Lock()
				total += n
				lock.Unlock()
			}
			syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		}()
	}
	group.Wait()
	<-signals
	func() {
		defer func() { fmt.Println(recover() != nil) }()
		var nothing *int
		*nothing = 1
	}()
	fmt.Println("total", total)
	os.Exit(4)
}
