# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled twin of the hot part: the same classes as in the plain modules beside it.

A class here acts as the plain one of the same name; what is not the usual way is left to the same
owners (`Connection`, `Session`). tests/load/engine/test_backends.py holds both to one contract.

What makes it quick is not the compiler but what it goes around: epoll, recv and send are called
without objects in between, a Request is coroutine, future and exchange in one, and times are
counted in machine words.
"""

import asyncio
import contextvars
import time
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine

from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.exc cimport PyErr_WarnEx
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset, strerror

from chapiteau.load.engine.reactor import Timer
from chapiteau.load.errors import BadResponseError, ExchangeError
from chapiteau.load.protocols.cookies import CookieJar

__all__ = [
    "Answer", "Exchange", "RequestPath", "ResponseShape", "Meter", "PreparedRequest", "Reactor", "Completion",
    "CoroutineDriver", "Wire",
]

cdef extern from "Python.h":
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    int PyIter_Send(object coroutine, object value, PyObject **made) except -1
    void PyErr_Fetch(PyObject **, PyObject **, PyObject **)
    void PyErr_Restore(PyObject *, PyObject *, PyObject *)
    void PyErr_WriteUnraisable(PyObject *)
    void PyErr_SetObject(object kind, object value)  # no check: the caller returns NULL
    PyObject *PyDict_GetItemWithError(object known, object key) except? NULL
    ctypedef struct PyAsyncMethods:
        void *am_send
    ctypedef struct PyTypeObject:
        PyAsyncMethods *tp_as_async
        void *tp_iternext
        object tp_new(void *kind, object args, PyObject *more)
    void PyType_Modified(PyTypeObject *kind)
    int PYGEN_RETURN, PYGEN_NEXT
    void Py_SET_SIZE(object made, Py_ssize_t size)

cdef extern from *:
    """
    #ifndef SOURCE_DIGEST
    #define SOURCE_DIGEST "unknown"
    #endif
    """
    const char *SOURCE_DIGEST

cdef extern from "time.h" nogil:
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *at)
    int CLOCK_MONOTONIC
    int CLOCK_REALTIME

cdef extern from "unistd.h" nogil:
    int c_close "close"(int fd)

cdef extern from "sys/epoll.h" nogil:
    cdef union epoll_data_t:
        int fd
    # Packed on x86-64: the header knows.
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int most, int timeout)
    int EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, EPOLL_CLOEXEC

cdef extern from "sys/socket.h" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    cdef struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
    cdef struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    ssize_t recvmsg(int fd, msghdr *message, int flags)
    ssize_t recv(int fd, void *data, size_t length, int flags)
    ssize_t send(int fd, const void *data, size_t length, int flags)
    cmsghdr *CMSG_FIRSTHDR(msghdr *message)
    unsigned char *CMSG_DATA(cmsghdr *part)
    int MSG_NOSIGNAL, MSG_DONTWAIT, SOL_SOCKET
cdef extern from *:
    """
    #include <sys/uio.h>
    """

cdef enum:
    DATA = 1
    READ = 0x2001  # with EPOLLRDHUP
    WRITE = 4
    TIMESTAMPNS = 35  # SCM_TIMESTAMPNS, asm-generic/socket.h
    BATCH = 128
    ROUNDS = 4
    SIZE = 65536
    BITS = 10  # as core/histogram.py
    BUCKETS = 17920  # more than the index of TOP
    KINDS = 600

# SHA-256 of this file when it was compiled. io/compiled.py looks for it in the extension module.
SOURCE = SOURCE_DIGEST.decode("ascii")

cdef uint32_t EDGE = <uint32_t>1 << 31
cdef int64_t TOP = <int64_t>1 << 42
cdef object Cancelled = asyncio.CancelledError
cdef object Invalid = asyncio.InvalidStateError
cdef object current_task = asyncio.current_task
cdef object isfuture = asyncio.isfuture
cdef object enter_task = _enter_task
cdef object leave_task = _leave_task
cdef object monotonic = time.monotonic


cdef inline double clock() noexcept nogil:
    cdef timespec at
    clock_gettime(CLOCK_MONOTONIC, &at)
    return at.tv_sec + at.tv_nsec * 1e-9


# ── counting ────────────────────────────────────────────────────────────────────────────────────
cdef class Buckets:
    """A histogram in machine words; `to_bytes` is core.histogram.Histogram's."""

    cdef uint32_t *counts
    cdef int room
    cdef readonly int64_t count
    cdef int64_t total, low, high

    def __cinit__(self):
        self.room = 0
        self.counts = NULL
        self.low = TOP

    def __dealloc__(self):
        free(self.counts)

    cdef int record(self, int64_t value) except -1:
        cdef int index, shift, room
        cdef uint32_t *grown
        if value < 0:
            value = 0
        elif value > TOP:
            value = TOP
        index = <int>value
        if value >= 1 << BITS:
            shift = 64 - BITS - __builtin_clzll(<unsigned long long>value)
            index = (shift << (BITS - 1)) + <int>(value >> shift)
        if index >= self.room:
            room = min(BUCKETS, ((index >> 10) + 2) << 10)
            grown = <uint32_t *>realloc(self.counts, room * sizeof(uint32_t))
            if grown == NULL:
                raise MemoryError
            memset(grown + self.room, 0, (room - self.room) * sizeof(uint32_t))
            self.counts, self.room = grown, room
        self.counts[index] += 1
        self.count += 1
        self.total += value
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value
        return 0

    cpdef bytes to_bytes(self):
        """As Histogram.to_bytes writes it: total, lowest, highest; then index and count pairs."""
        cdef int index, used = 0
        cdef char *at
        cdef uint64_t word
        cdef bytes made
        for index in range(self.room):
            used += self.counts[index] != 0
        made = PyBytes_FromStringAndSize(NULL, 24 + 12 * used)
        at = PyBytes_AS_STRING(made)
        memcpy(at, &self.total, 8)
        memcpy(at + 8, &self.low, 8)
        memcpy(at + 16, &self.high, 8)
        at += 24
        for index in range(self.room):
            if self.counts[index]:
                word = self.counts[index]
                memcpy(at, &index, 4)
                memcpy(at + 4, &word, 8)
                at += 12
        return made

cdef extern from *:
    int __builtin_clzll(unsigned long long value) noexcept nogil


cdef class Meter:
    """Answers of one name: latencies by second, service times, statuses, bytes."""

    cdef dict seconds
    cdef Buckets latency, service
    cdef int64_t second, received
    cdef int64_t statuses[KINDS]

    def __cinit__(self):
        self.seconds = {}
        self.service = Buckets()
        self.second = -1
        memset(self.statuses, 0, sizeof(self.statuses))

    cdef int record(
        self, int64_t second, int64_t latency, int64_t service, int status, Py_ssize_t size
    ) except -1:
        if second != self.second or self.latency is None:
            self.second = second
            self.latency = self.seconds.get(second)
            if self.latency is None:
                self.latency = self.seconds[second] = Buckets()
        self.latency.record(latency)
        self.service.record(service)
        self.statuses[status if 0 <= status < KINDS else KINDS - 1] += 1
        self.received += size
        return 0

    def flush(self):
        """(latency by second, service, statuses, bytes) since the last time; None for nothing."""
        cdef int status
        if not self.service.count:
            return None
        statuses = {}
        for status in range(KINDS):
            if self.statuses[status]:
                statuses[status] = self.statuses[status]
        made = (
            {second: (<Buckets>found).to_bytes() for second, found in self.seconds.items()},
            self.service.to_bytes(),
            statuses,
            self.received,
        )
        self.seconds, self.latency, self.service = {}, None, Buckets()
        self.received = 0
        memset(self.statuses, 0, sizeof(self.statuses))
        return made


cdef class ReceiveDelay:
    """How long answers had lain in their sockets before they were read."""

    cdef Buckets found

    def __cinit__(self):
        self.found = Buckets()

    def record(self, int64_t micros):
        """One answer."""
        self.found.record(micros)

    def flush(self):
        """Histogram.to_bytes of what came since the last time."""
        made = self.found.to_bytes()
        self.found = Buckets()
        return made


# ── waiting ─────────────────────────────────────────────────────────────────────────────────────
cdef class Completion:
    """As plain Completion: awaited, and woken without a turn of the loop."""

    cdef object loop, callback, context, more, error
    cdef Completion driver  # whose coroutine waits
    cdef readonly bint over
    cdef bint blocking

    def __init__(self, loop):
        self.loop = loop

    # None means "no future" to asyncio.isfuture.
    @property
    def _asyncio_future_blocking(self):
        return self.blocking

    @_asyncio_future_blocking.setter
    def _asyncio_future_blocking(self, bint value):
        self.blocking = value

    def __await__(self):
        if not self.over:
            self.blocking = True
            return iter((self,))
        if self.error is not None:
            raise self.error
        return iter(())

    __iter__ = __await__

    cdef int call(self, object callback, object context) except -1:
        if context is None:
            callback(self)
            return 0
        PyContext_Enter(context)
        try:
            callback(self)
        finally:
            PyContext_Exit(context)
        return 0

    cdef int step(self, object error) except -1:
        """A driver's."""
        return 0

    def again_by(self, error):
        """`step`, for the loop."""
        self.step(error)

    cpdef wake(self):
        """It has happened: let who waits go on, before this returns."""
        cdef object callback = self.callback, context, more
        cdef Completion driver = self.driver
        self.over = True
        if driver is not None:
            self.driver = None
            if callback is None:
                driver.step(self.error)
                return
            self.loop.call_soon(driver.again_by, self.error)
        context, more = self.context, self.more
        if callback is not None:
            self.callback = self.context = None
            self.call(callback, context)
        if more is not None:
            self.more = None
            for callback, context in more:
                self.call(callback, context)

    cpdef fail(self, error):
        """It can't happen any more: raise this where it is awaited."""
        self.error = error
        if (self.callback is not None or self.driver is not None) and (
            current_task(self.loop) is not None
        ):
            self.over = True
            self.loop.call_soon(self.wake)
        else:
            self.wake()

    def again(self):
        """Make it awaitable once more."""
        self.over = False
        self.error = None

    def add_done_callback(self, callback, *, context=None):
        """Called when it is over; at once in the loop's next turn when it already is."""
        if self.over:
            self.loop.call_soon(callback, self, context=context)
        elif self.callback is None:
            self.callback, self.context = callback, context
        elif self.more is None:
            self.more = [(callback, context)]
        else:
            self.more.append((callback, context))

    def remove_done_callback(self, callback):
        """How many of the callbacks were taken off."""
        every = [] if self.callback is None else [(self.callback, self.context)]
        every += self.more or []
        kept = [pair for pair in every if pair[0] != callback]
        self.callback = self.context = self.more = None
        if kept:
            self.callback, self.context = kept[0]
            self.more = kept[1:] or None
        return len(every) - len(kept)

    def get_loop(self):
        """The loop it belongs to."""
        return self.loop

    def done(self):
        """Whether it is over."""
        return self.over

    def cancelled(self):
        """Whether it ended by cancellation."""
        return isinstance(self.error, Cancelled)

    def result(self):
        """Nothing; raises what it failed with."""
        if not self.over:
            raise Invalid("not over yet")
        if self.error is not None:
            raise self.error

    def exception(self):
        """What it failed with."""
        return self.error

    def cancel(self, msg=None):
        """End it with CancelledError; false when it is over already."""
        if self.over:
            return False
        self.dropped()
        self.error = Cancelled() if msg is None else Cancelled(msg)
        self.over = True
        self.loop.call_soon(self.wake)
        return True

    cpdef dropped(self):
        """Nobody waits any more: a subclass lets go of what it holds."""


cdef object _thrown(kind, value, trace):
    if value is None:
        value = kind() if isinstance(kind, type) else kind
    elif isinstance(kind, type) and not isinstance(value, BaseException):
        value = kind(value)
    return value if trace is None else value.with_traceback(trace)


cdef class CoroutineDriver(Completion):
    """As plain CoroutineDriver."""

    cdef object coroutine, task, entered, found, raised
    cdef Completion waiting
    cdef bint ended

    def __init__(self, loop, coroutine):
        self.loop = loop
        self.coroutine = coroutine

    def __await__(self):
        """Go along with the coroutine from within its Task."""
        self.task = current_task(self.loop)
        error = None
        while True:
            try:
                found = (
                    self.coroutine.send(None) if error is None else self.coroutine.throw(error)
                )
            except StopIteration as stop:
                return stop.value
            error = None
            if isinstance(found, Completion):
                try:
                    self.over = False
                    self.error = None
                    self.rest(found)
                    self.blocking = True
                    yield self
                except BaseException as exc:
                    error = exc
                    self.dropped()
                if self.ended:
                    if self.raised is not None or error is not None:
                        raise self.raised or error
                    return self.found
                found, self.found = self.found, None
                if error is not None and not (
                    isinstance(error, Cancelled) and isfuture(found) and found.cancel()
                ):
                    continue
                error = None
            try:
                yield found
            except BaseException as exc:
                error = exc

    cdef int rest(self, Completion found) except -1:
        found.blocking = False
        found.driver = self
        self.waiting = found
        return 0

    cdef int step(self, object error) except -1:
        """What it waited for is over."""
        cdef PyObject *made = NULL
        cdef int how
        cdef object found, context = self.entered
        if context is None:
            context = self.entered = self.context or contextvars.copy_context()
        self.waiting = None
        enter_task(self.loop, self.task)
        PyContext_Enter(context)
        try:
            if error is None:
                how = PyIter_Send(self.coroutine, None, &made)
                found = <object>made
                Py_DECREF(found)
            else:
                found = self.coroutine.throw(error)
                how = PYGEN_NEXT
        except StopIteration as stop:
            found = stop.value
            how = PYGEN_RETURN
        except BaseException as exc:
            self.raised = exc
            found = None
            how = PYGEN_RETURN
        PyContext_Exit(context)
        leave_task(self.loop, self.task)
        if how == PYGEN_NEXT and not self.over and isinstance(found, Completion):
            self.rest(<Completion>found)
            return 0
        self.found = found
        self.ended = how == PYGEN_RETURN
        if not self.over:
            self.wake()
        return 0

    cpdef dropped(self):
        """The Task is cancelled, and with it what the coroutine waits for."""
        cdef Completion waiting = self.waiting
        self.waiting = None
        if waiting is not None:
            waiting.driver = None
            waiting.cancel()


cdef class ResponseShape:
    """As plain ResponseShape."""

    cdef readonly bytes start, head
    cdef readonly Py_ssize_t total
    cdef readonly int status
    cdef readonly bint usual

    def __cinit__(self):
        self.start, self.head, self.total = b"\0", b"", -1

    def learn(self, bytes head, int status, Py_ssize_t length):
        """An answer that was whole in one read, on a connection that stays open."""
        self.start = head + b"\r\n"
        self.head = head
        self.total = PyBytes_GET_SIZE(head) + 2 + length
        self.status = status
        self.usual = status < 300 and b"\nset-cookie:" not in head.lower()


cdef class Exchange(Completion):
    """As plain Exchange."""

    cdef readonly bytes data, head, body
    cdef readonly ResponseShape shape
    cdef readonly object carrier
    cdef readonly double deadline, sent, ended
    cdef readonly int status
    cdef readonly bint bare, twice

    def __init__(self, loop, bytes data, double deadline, bint bare, bint twice, ResponseShape shape):
        self.loop = loop
        self.data = data
        self.deadline = deadline
        self.bare = bare
        self.twice = twice
        self.shape = shape

    def carry(self, carrier):
        """It waits for this carrier; None: for any."""
        self.carrier = carrier

    def leave(self, carrier, double at):
        """Its bytes go out on this carrier at this moment."""
        self.carrier = carrier
        self.sent = at

    def answer(self, int status, bytes head, bytes body, double at):
        """The answer is whole; `wake` then tells who waits."""
        self.status = status
        self.head = head
        self.body = body
        self.ended = at

    def send_once(self):
        """From now on it may not be sent again."""
        self.twice = False

    def fail_at(self, error, double at):
        """End without an answer, at this moment of the engine's clock."""
        self.carrier = None
        self.ended = at
        self.fail(error)

    cpdef dropped(self):
        """Nobody wants the answer: the connection can't be used for another request."""
        if self.carrier is not None:
            self.carrier.abandon(self)


# ── reading and writing ─────────────────────────────────────────────────────────────────────────
cdef class Reactor:
    """As plain Reactor, with an epoll of its own."""

    cdef readonly object loop, now
    cdef readonly ReceiveDelay receive_delay
    cdef int epoll
    cdef list handlers
    cdef bint real
    cdef char *buffer

    def __cinit__(self):
        self.epoll = -1
        self.buffer = <char *>calloc(SIZE, 1)
        if self.buffer == NULL:
            raise MemoryError

    def __init__(self, loop, now=monotonic):
        self.loop = loop
        self.now = now
        self.real = now is monotonic
        self.receive_delay = ReceiveDelay()
        self.handlers = [None] * 1024
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "epoll_create1")
        loop.add_reader(self.epoll, self.poll)

    def __dealloc__(self):
        if self.epoll >= 0:
            c_close(self.epoll)
        free(self.buffer)

    cdef inline double moment(self) except? -1.0:
        return clock() if self.real else <double>self.now()

    cdef int control(self, int what, int fd, uint32_t events) except -1:
        cdef epoll_event event
        event.events = events
        event.data.fd = fd
        if self.epoll >= 0 and epoll_ctl(self.epoll, what, fd, &event) < 0:
            raise OSError(errno, "epoll_ctl")
        return 0

    cpdef watch(self, int fd, handler, uint32_t events=READ):
        """Call `handler(events)` when the descriptor is ready."""
        while fd >= len(self.handlers):
            self.handlers.extend([None] * len(self.handlers))
        self.handlers[fd] = handler
        self.control(EPOLL_CTL_ADD, fd, events)

    cpdef change(self, int fd, uint32_t events):
        """Wait for other events of a watched descriptor."""
        self.control(EPOLL_CTL_MOD, fd, events)

    cpdef forget(self, int fd):
        """Stop watching; to be called before the descriptor is closed."""
        if fd < len(self.handlers) and self.handlers[fd] is not None:
            self.handlers[fd] = None
            self.control(EPOLL_CTL_DEL, fd, 0)

    def timer(self, handler):
        """A precise timer; it rings only after `at` was called."""
        return Timer(self, handler)

    def poll(self):
        """Serve all that is ready now."""
        cdef epoll_event ready[BATCH]
        cdef int round, number, count
        cdef object handler
        for round in range(ROUNDS):
            if self.epoll < 0:
                return  # the loop had this call in its queue already
            count = epoll_wait(self.epoll, ready, BATCH, 0)
            if count <= 0:
                if count < 0 and errno != EINTR:
                    raise OSError(errno, "epoll_wait")
                return
            for number in range(count):
                # An earlier handler of this round may have closed this one.
                handler = self.handlers[ready[number].data.fd]
                if type(handler) is Wire:
                    (<Wire>handler).ready(ready[number].events)
                elif handler is not None:
                    handler(ready[number].events)

    def close(self):
        """Leave the loop."""
        if self.epoll >= 0:
            self.loop.remove_reader(self.epoll)
            c_close(self.epoll)
            self.epoll = -1
        self.handlers = [None] * 1024


cdef class Wire:
    """As plain Wire."""

    cdef readonly object owner, reader, sender, waiting, phase
    cdef readonly list idle
    cdef readonly bytes rest
    cdef readonly int fd, events
    cdef readonly int64_t served
    cdef readonly bint closed, plain, stamped, reading
    cdef readonly Exchange exchange
    cdef Reactor reactor
    cdef object sock

    def __init__(self, owner, Reactor reactor, sock, reader, list idle, waiting, sender=None):
        self.owner = owner
        self.reactor = reactor
        self.sock = sock
        self.reader = reader
        self.idle = idle
        self.waiting = waiting
        self.phase = "connecting"
        self.plain = sender is None
        self.sender = self if sender is None else sender
        self.rest = b""
        self.events = WRITE
        self.fd = sock.fileno()
        reactor.watch(self.fd, self, WRITE | EDGE)

    # ── out ───────────────────────────────────────────────────────────────────────────────────
    cpdef start(self, Exchange exchange, double at):
        """Send a request at this moment; the connection must be idle and connected."""
        self.begin(exchange, exchange.data, at)

    cpdef begin(self, Exchange exchange, bytes data, double at):
        """Send a request in other bytes than its own."""
        self.exchange = exchange
        exchange.carrier = self.owner
        exchange.sent = at
        self.phase = "waiting for the answer"
        self.send(data)

    cpdef send(self, bytes data):
        """Hand bytes to the kernel; what it doesn't take goes out when there is room."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data), sent
        if PyBytes_GET_SIZE(self.rest):
            self.rest += data
            return
        sent = send(self.fd, PyBytes_AS_STRING(data), size, MSG_NOSIGNAL | MSG_DONTWAIT)
        if sent == size:
            return
        if sent < 0:
            if errno != EAGAIN:
                self.owner.lost(_oserror())
                return
            sent = 0
        self.rest = data[sent:]
        self.wait_for(READ | WRITE)

    def send_rest(self):
        """The kernel takes bytes again."""
        cdef bytes rest = self.rest
        self.rest = b""
        self.wait_for(READ)
        if rest:
            self.send(rest)

    def carry(self, Exchange exchange):
        """The request that is sent as soon as the connection stands."""
        self.exchange = exchange
        exchange.carrier = self.owner

    def enter(self, phase):
        """The connection has come so far."""
        self.phase = phase

    def leave_http1(self):
        """What comes from now on is the owner's."""
        self.plain = False

    def stamp(self, bint wanted):
        """The kernel says when packets came, or no more."""
        self.stamped = wanted

    cpdef wait_for(self, int events):
        """Be called for these events of the socket."""
        if events != self.events and not self.closed:
            self.events = events
            self.reactor.change(self.fd, <uint32_t>events | EDGE)

    # ── in ────────────────────────────────────────────────────────────────────────────────────
    cpdef int ready(self, int events) except -1:
        """The reactor says that bytes can be read or written."""
        cdef Py_ssize_t size
        cdef char *buffer = self.reactor.buffer
        cdef Exchange exchange
        cdef ResponseShape shape
        cdef Py_ssize_t start
        if events != DATA and not self.otherwise(events):
            return 0
        size = self.receive(buffer)
        if size < 0:
            if errno != EAGAIN:
                self.owner.lost(_oserror())
            return 0
        exchange = self.exchange
        if exchange is not None and self.plain and not self.reading:
            shape = exchange.shape
            start = PyBytes_GET_SIZE(shape.start)
            if (
                size == shape.total
                and memcmp(buffer, PyBytes_AS_STRING(shape.start), start) == 0
            ):
                exchange.status = shape.status
                exchange.head = shape.head
                exchange.body = PyBytes_FromStringAndSize(buffer + start, size - start)
                self.done(exchange, False)
                return 0
        if size == SIZE:
            self.look_again()
        if size == 0:
            self.owner.ended()
        elif self.plain:
            self.feed(PyBytes_FromStringAndSize(buffer, size))
        else:
            self.owner.take(PyBytes_FromStringAndSize(buffer, size))
        return 0

    cdef bint otherwise(self, int events) except -1:
        """What is not just bytes; whether there may be some all the same."""
        if events & WRITE:
            self.owner.writable()
            if self.closed or not events & ~WRITE:
                return False
        self.look_again()
        return True

    cdef int look_again(self) except -1:
        self.reactor.change(self.fd, <uint32_t>self.events | EDGE)
        return 0

    cdef Py_ssize_t receive(self, char *buffer) noexcept:
        """recv, and the kernel's word on when the packet came (SO_TIMESTAMPNS, socket(7))."""
        cdef msghdr message
        cdef iovec part
        cdef char control[64]
        cdef cmsghdr *extra
        cdef timespec came, read
        cdef Py_ssize_t size
        if not self.stamped:
            size = recv(self.fd, buffer, SIZE, MSG_DONTWAIT)
            while size < 0 and errno == EINTR:
                size = recv(self.fd, buffer, SIZE, MSG_DONTWAIT)
            return size
        part.iov_base, part.iov_len = buffer, SIZE
        memset(&message, 0, sizeof(message))
        message.msg_iov, message.msg_iovlen = &part, 1
        message.msg_control, message.msg_controllen = control, sizeof(control)
        size = recvmsg(self.fd, &message, MSG_DONTWAIT)
        while size < 0 and errno == EINTR:
            size = recvmsg(self.fd, &message, MSG_DONTWAIT)
        if size > 0:
            extra = CMSG_FIRSTHDR(&message)
            if extra != NULL and extra.cmsg_level == SOL_SOCKET and extra.cmsg_type == TIMESTAMPNS:
                memcpy(&came, CMSG_DATA(extra), sizeof(came))
                clock_gettime(CLOCK_REALTIME, &read)
                self.reactor.receive_delay.found.record(
                    (read.tv_sec - came.tv_sec) * 1000000 + (read.tv_nsec - came.tv_nsec) // 1000
                )
        return size

    def feed(self, bytes data):
        """Bytes of an answer in HTTP/1.1."""
        cdef Exchange exchange = self.exchange
        cdef bint first = not self.reading
        if exchange is None:
            self.owner.close()
            return
        reader = self.reader
        if first:
            reader.start(bare=exchange.bare)
            self.reading = True
        try:
            whole = reader.feed(data)
        except BadResponseError as exc:
            self.owner.fail(exc)
            return
        if not whole:
            self.phase = "reading the answer"
            return
        if first and reader.simple and PyBytes_GET_SIZE(data) < SIZE:
            exchange.shape.learn(reader.head, reader.status, len(reader.body))
        self.finish(exchange)

    def finish(self, Exchange exchange):
        """The reader holds the whole answer."""
        reader = self.reader
        exchange.status = reader.status
        exchange.head = reader.head
        exchange.body = reader.body
        self.done(exchange, reader.rest or not reader.keep)

    cdef int done(self, Exchange exchange, bint last) except -1:
        exchange.ended = self.reactor.moment()
        exchange.carrier = None
        self.exchange = None
        self.served += 1
        self.reading = False
        # First give the connection back, then wake: the woken Task may send its next request
        # on it before `wake` returns.
        if last or PyBytes_GET_SIZE(self.rest):
            self.owner.close()
        elif len(self.waiting):
            self.owner.free()
        else:
            self.idle.append(self.sender)
        exchange.wake()
        return 0

    def close(self):
        """Stop watching and give the descriptor back."""
        self.closed = True
        self.phase = "closed"
        self.exchange = None
        self.reactor.forget(self.fd)
        self.sock.close()


cdef object _oserror():
    cdef int code = errno
    return OSError(code, strerror(code).decode("utf-8", "replace"))


# ── requests ────────────────────────────────────────────────────────────────────────────────────
cdef class Answer:
    """What plain Response holds. Its methods come from `Views`, by the class in kit.py."""

    cdef readonly int status
    cdef readonly bint good
    cdef readonly object url
    cdef public double seconds, service_seconds
    cdef readonly bytes _head, _body
    cdef public object _fields

    def __init__(
        self, int status, bytes head, bytes body, bint good, url,
        double seconds=0.0, double service_seconds=0.0,
    ):
        self.status = status
        self._head = head
        self._body = body
        self.good = good
        self.url = url
        self.seconds = seconds
        self.service_seconds = service_seconds


cdef object answer_class = Answer
cdef tuple nothing = ()


def answer_with(kind):
    """The subclass of Answer that scenarios get."""
    global answer_class
    answer_class = kind


cdef class PreparedRequest:
    """As plain PreparedRequest."""

    cdef readonly str method
    cdef readonly object address, origin, row, expect
    cdef readonly list idle
    cdef readonly ResponseShape shape
    cdef readonly bytes head, body, data
    cdef readonly double timeout
    cdef readonly bint bare, twice, follow
    cdef Meter meter

    def __init__(
        self, *, method, address, origin, idle, shape, row, head, body, data, timeout, bare, twice,
        follow, expect,
    ):
        self.method, self.address, self.origin, self.idle = method, address, origin, idle
        self.shape, self.row, self.head, self.body, self.data = shape, row, head, body, data
        self.timeout, self.bare, self.twice, self.follow = timeout, bare, twice, follow
        self.expect = expect
        if row.meter is None:
            row.meter = Meter()
        self.meter = row.meter


cdef inline object popped(list items):
    """`items.pop()` that keeps the list's room: it is filled again at once."""
    cdef Py_ssize_t last = PyList_GET_SIZE(items) - 1
    cdef object item = <object>PyList_GET_ITEM(items, last)
    Py_SET_SIZE(items, last)
    Py_DECREF(item)  # the list's own
    return item


cdef class RequestPath:
    """As plain RequestPath."""

    cdef readonly object slow_path, loop, now, recorder, headers, jar, start_cookies
    cdef list lags
    cdef readonly dict plain, checks
    cdef readonly double lag
    cdef readonly int64_t sent, iteration
    cdef Reactor reactor

    def __init__(self, slow_path, client):
        self.slow_path = slow_path
        self.reactor = client.reactor
        self.loop = client.loop
        self.now = client.now
        self.recorder = client.recorder
        self.plain = client.plain
        self.checks = client.recorder.checks
        self.lags = client.recorder.lag
        self.headers = {}
        self.jar = CookieJar()
        self.start_cookies = CookieJar()

    def use_headers(self, headers):
        """These go with every request from now on."""
        self.headers = headers

    def use_cookies(self, jar):
        """These are the user's from now on."""
        self.jar = jar

    def settle(self):
        """The cookies of now are where every session starts from."""
        self.start_cookies = self.jar.copy()

    def reset_cookies(self):
        """Put back the cookies that a session starts with."""
        self.jar = self.start_cookies.copy()

    def take_lag(self):
        """Something is sent, other than by `request`; the seconds by which it is late."""
        cdef double lag = self.lag
        self.sent += 1
        self.lag = 0.0
        return lag

    def begin(self, double lag):
        """A session begins, this many seconds late."""
        self.lags.append(<int64_t>(lag * 1e6))
        self.iteration += 1
        self.lag = lag
        self.sent = 0
        if self.jar.kept or self.start_cookies.kept:
            self.reset_cookies()

    def check(self, good, label):
        """Count whether something holds, without ending the session; gives it back as a bool."""
        cdef PyObject *pair = PyDict_GetItemWithError(self.checks, label)
        cdef bint held = bool(good)
        if pair == NULL:
            self.checks[label] = [int(held), int(not held)]
        elif held:
            (<list><object>pair)[0] += 1
        else:
            (<list><object>pair)[1] += 1
        return held

    def request(self, str method, str url, options):
        """Send a request and count what comes of it."""
        cdef Request made = Request.__new__(Request)
        made.path = self
        made.method = method
        made.url = url
        made.options = options
        return made


cdef class Request(Exchange):
    """Plain `RequestPath.request`, as one object: the coroutine, its future, and the exchange."""

    cdef RequestPath path
    cdef str method, url
    cdef object options, following, made
    cdef PreparedRequest prepared
    cdef double intended
    cdef bint begun, finished

    def __dealloc__(self):
        cdef PyObject *kind
        cdef PyObject *value
        cdef PyObject *trace
        if not self.begun and not self.finished and self.path is not None:
            PyErr_Fetch(&kind, &value, &trace)
            if PyErr_WarnEx(RuntimeWarning, b"a request was never awaited", 1) < 0:
                PyErr_WriteUnraisable(NULL)
            PyErr_Restore(kind, value, trace)

    @property
    def _asyncio_future_blocking(self):
        # Before it has begun it is a coroutine, which ensure_future has to wrap.
        return self.blocking if self.begun else None

    @_asyncio_future_blocking.setter
    def _asyncio_future_blocking(self, bint value):
        self.blocking = value

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        """Replaced below."""

    def send(self, value):
        """The coroutine's way to go on."""
        if self.step(None):
            raise StopIteration(self.made)
        return self.made

    def throw(self, kind, value=None, trace=None):
        """Raise where it waits."""
        if self.step(_thrown(kind, value, trace)):
            raise StopIteration(self.made)
        return self.made

    def close(self):
        """Give it up."""
        if self.begun and not self.finished:
            self.finished = True
            if self.following is not None:
                self.following.close()
            elif not self.over:
                self.dropped()
        self.finished = True

    cdef int step(self, object error) except -1:
        """Go on: 0 when it waits for what `made` then is, 1 when `made` is the answer."""
        if self.finished:
            raise RuntimeError("cannot reuse already awaited request") if error is None else error
        if self.following is not None:
            return self.followed(error)
        if error is None and not self.begun:
            self.begin()
        if error is None:
            error = self.error
            if error is None and not self.over:
                self.blocking = True
                self.made = self
                return 0
        if error is not None:
            self.finished = True
            self.made = None
            if self.begun and isinstance(error, (ExchangeError, Cancelled)):
                self.path.slow_path.count_no_response(self.prepared, self.intended, error)
            raise error
        if (
            not (self.shape.usual and self.head is self.shape.head)
            and self.path.slow_path.process_head(self.prepared, self)
        ):
            self.following = self.path.slow_path.follow(self.prepared, self, self.intended)
            return self.followed(None)
        self.counted(self)
        return 1

    cdef int begin(self) except -1:
        cdef RequestPath path = self.path
        cdef PreparedRequest prepared = None
        cdef list idle
        cdef PyObject *found
        cdef object wire
        cdef double now
        if not self.options:
            found = PyDict_GetItemWithError(path.plain, self.method)
            if found != NULL:
                found = PyDict_GetItemWithError(<object>found, self.url)
                if found != NULL:
                    prepared = <PreparedRequest>found
        try:
            if prepared is None:
                prepared = path.slow_path.prepare(self.method, self.url, self.options)
        except BaseException:
            self.finished = True
            raise
        self.prepared = prepared
        path.sent += 1
        now = path.reactor.moment()
        self.intended = now - path.lag
        path.lag = 0.0
        self.begun = True
        self.loop = path.loop
        if path.headers or path.jar.kept:
            self.data = path.slow_path.with_session_headers(prepared)
        else:
            self.data = prepared.data
        self.deadline = now + prepared.timeout
        self.bare = prepared.bare
        self.twice = prepared.twice
        self.shape = prepared.shape
        idle = prepared.idle
        if idle:
            wire = popped(idle)
            if type(wire) is Wire:
                (<Wire>wire).begin(self, self.data, now)
            else:
                wire.start(self, now)
        else:
            prepared.origin.send(self)
        return 0

    cdef int followed(self, object error) except -1:
        """Let the session go on following redirects."""
        cdef Exchange last
        try:
            self.made = self.following.send(None) if error is None else self.following.throw(error)
            return 0
        except StopIteration as stop:
            last = stop.value
        except BaseException:
            self.finished = True
            raise
        self.following = None
        self.counted(last)
        return 1

    cdef int counted(self, Exchange last) except -1:
        """Count the answer, and make what the scenario gets."""
        cdef Answer response = <Answer>(<PyTypeObject *>answer_class).tp_new(
            <void *>answer_class, nothing, NULL
        )
        cdef PreparedRequest prepared = self.prepared
        cdef int64_t second = <int64_t>(self.intended - <double>self.path.recorder.zero)
        cdef int status = last.status
        self.finished = True
        response.status = status
        response._head = last.head
        response._body = last.body
        response.good = status < 400 if prepared.expect is None else status in prepared.expect
        response.url = prepared.address
        response.seconds = last.ended - self.intended
        response.service_seconds = last.ended - last.sent
        prepared.meter.record(
            second,
            <int64_t>(response.seconds * 1e6),
            <int64_t>(response.service_seconds * 1e6),
            status,
            PyBytes_GET_SIZE(last.body),
        )
        self.made = response
        if not response.good:
            self.path.slow_path.count_unexpected(prepared, response, second)
        return 0


# Written by hand, since `raise StopIteration(…)` makes a traceback with a frame each time: 0.5 µs.
cdef int _send(Request request, object value, PyObject **made) except -1:
    cdef int over = request.step(None)
    made[0] = <PyObject *>request.made
    Py_INCREF(request.made)
    if over or request.made is request:
        request.made = None  # no circle
    return PYGEN_RETURN if over else PYGEN_NEXT


cdef PyObject *_next(Request request) except NULL:
    cdef PyObject *made = NULL
    if _send(request, None, &made) == PYGEN_RETURN:
        PyErr_SetObject(StopIteration, StopIteration(<object>made))
        Py_DECREF(<object>made)
        return NULL
    return made


(<PyTypeObject *>Request).tp_iternext = <void *>_next
(<PyTypeObject *>Request).tp_as_async.am_send = <void *>_send
PyType_Modified(<PyTypeObject *>Request)
Coroutine.register(Request)
