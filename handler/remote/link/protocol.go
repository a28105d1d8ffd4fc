package link

// What both ends have agreed on beforehand.
const (
	// Protocol is the version of the messages that this package's two users speak.
	Protocol = 1
	// Hub is the name of the daemon's actor, Member that of a member's.
	Hub    = "handlers"
	Member = "member"
	// MaxStackBytes bounds the stack of a panic that is reported.
	MaxStackBytes = 16 << 10
	// MaxReportBytes bounds what a member sends in one piece: a result, an error and a stack, with room to spare.
	MaxReportBytes = 64 << 10
)
