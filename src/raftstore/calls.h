/* What members ask each other over the peer port (peers.h), with bodies in little end
 * first. Status 0 carries the answer; CALL_ELSEWHERE: ask the leader; CALL_NO: what the
 * answer's text says. */
#ifndef RAFTSTORE_CALLS_H
#define RAFTSTORE_CALLS_H

enum call_what {
    CALL_MEMBERS = 1,    /* nothing -> a MemberListResponse; anyone may ask */
    CALL_PROPOSE = 2,    /* a payload (payload.h) -> nothing, once it is in the log */
    CALL_READ_INDEX = 3, /* nothing -> 8 index that a reader must have applied */
    CALL_KEEP_ALIVE = 4, /* 8 lease -> 8 seconds to live */
    CALL_REMAINING = 5,  /* 8 lease -> 8 seconds left, 8 granted */
    CALL_IN_SYNC = 6,    /* 8 learner -> nothing when it may be promoted */
};

enum call_status {
    CALL_DONE = 0,
    CALL_ELSEWHERE = 1,
    CALL_NO = 2,
    CALL_GONE = 3, /* the caller is no member any more */
};

#endif
