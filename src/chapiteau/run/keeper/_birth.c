/* Starts a program in its cgroup without copying anything of the keeper.
 *
 * clone3(2) with CLONE_VM and CLONE_VFORK shares our memory and stops us until the exec, as
 * posix_spawn(3) does; CLONE_INTO_CGROUP puts the child into its cgroup before its first
 * instruction, which posix_spawn can only from glibc 2.39 on. CLONE_FILES shares the descriptors
 * too: the child lets go of a thousand pipes of others at once (close_range(2) with
 * CLOSE_RANGE_UNSHARE) instead of copying each and closing each.
 *
 * The child runs on a stack of its own, in `be_born` alone, and makes nothing but system calls
 * there: Python is not entered. What it writes into `struct order` is read by us afterwards.
 */
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR_CLONE3 435 /* both the same on every architecture */
#define NR_CLOSE_RANGE 436
#define UNSHARE_THEM 2u                  /* CLOSE_RANGE_UNSHARE */
#define HANDLERS_CLEARED 0x100000000ULL  /* CLONE_CLEAR_SIGHAND, Linux 5.5 */
#define INTO_CGROUP 0x200000000ULL       /* CLONE_INTO_CGROUP, Linux 5.7 */
#define MOST_MOVES 64

struct clone3_args { /* linux/sched.h, second version of struct clone_args */
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};

enum stage { BIRTH, DESCRIPTORS, CWD, EXEC };

struct order {
    char **argv, **env;
    const char *cwd;
    int moves, held, first; /* `first`: descriptors from here on are not the child's */
    int staged[MOST_MOVES], targets[MOST_MOVES];
    int umask; /* -1: as ours */
    struct rlimit files;
    volatile int error;
    volatile enum stage stage;
};

struct turns { /* sched_setattr(2), first version of struct sched_attr */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* What a child has instead of our short turns; `size` is 0 when ours are as everybody's. */
static struct turns usual;

static char child_stack[1 << 16] __attribute__((aligned(64)));

/* clone3, and in the child run(order) on the stack that `args` names, for ever. */
#if defined(__x86_64__)
static long clone3_running(struct clone3_args *args, void (*run)(void *), void *order) {
    long result;
    register void (*to_run)(void *) __asm__("r12") = run;
    register void *with __asm__("r13") = order;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r13, %%rdi\n\t"
                     "call *%%r12\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "a"((long)NR_CLONE3), "D"(args), "S"(sizeof *args), "r"(to_run), "r"(with)
                     : "rcx", "r11", "memory", "cc");
    return result;
}
#elif defined(__aarch64__)
static long clone3_running(struct clone3_args *args, void (*run)(void *), void *order) {
    register long number __asm__("x8") = NR_CLONE3;
    register long result __asm__("x0") = (long)args;
    register long size __asm__("x1") = sizeof *args;
    register void (*to_run)(void *) __asm__("x19") = run;
    register void *with __asm__("x20") = order;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x0, x20\n\t"
                     "blr x19\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(result)
                     : "r"(number), "r"(size), "r"(to_run), "r"(with)
                     : "memory", "cc");
    return result;
}
#else
#error "no clone3 of our own for this architecture: the keeper starts processes in plain Python"
#endif

static void be_born(void *given) {
    struct order *order = given;
    order->stage = DESCRIPTORS;
    /* Kernels before 5.9 have no close_range: then each is closed by exec. */
    if (syscall(NR_CLOSE_RANGE, (unsigned)order->first, ~0u, UNSHARE_THEM) != 0 &&
        unshare(CLONE_FILES) != 0)
        goto failed;
    for (int i = 0; i < order->moves; i++)
        if (dup2(order->staged[i], order->targets[i]) < 0) goto failed;
    setsid();
    if (usual.size) syscall(SYS_sched_setattr, 0, &usual, 0);
    /* What is ignored stays so over exec: PIPE and XFSZ by Python, others by nohup or a shell's &. */
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    if (order->umask >= 0) umask((mode_t)order->umask);
    order->stage = CWD;
    if (chdir(order->cwd) != 0) goto failed;
    setrlimit(RLIMIT_NOFILE, &order->files);
    order->stage = EXEC;
    execve(order->argv[0], order->argv, order->env);
failed:
    order->error = errno;
    _exit(127);
}

static void release(char **words) {
    if (words == NULL) return;
    for (char **one = words; *one != NULL; one++) PyMem_Free(*one);
    PyMem_Free(words);
}

/* "A" or "A=B" as the system has it; NULL with an exception. */
static char *joined(PyObject *left, PyObject *right) {
    char *made = NULL;
    Py_ssize_t size = 0, more = 0;
    PyObject *a = PyUnicode_EncodeFSDefault(left);
    PyObject *b = a != NULL && right != NULL ? PyUnicode_EncodeFSDefault(right) : NULL;
    if (a == NULL || (right != NULL && b == NULL)) goto done;
    size = PyBytes_GET_SIZE(a), more = b != NULL ? PyBytes_GET_SIZE(b) : 0;
    if (strlen(PyBytes_AS_STRING(a)) != (size_t)size ||
        (b != NULL && strlen(PyBytes_AS_STRING(b)) != (size_t)more)) {
        PyErr_SetString(PyExc_ValueError, "embedded null character");
        goto done;
    }
    if ((made = PyMem_Malloc(size + more + 2)) == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    memcpy(made, PyBytes_AS_STRING(a), size + 1);
    if (b != NULL) {
        made[size] = '=';
        memcpy(made + size + 1, PyBytes_AS_STRING(b), more + 1);
    }
done:
    Py_XDECREF(a);
    Py_XDECREF(b);
    return made;
}

static char **words_of(PyObject *list) {
    Py_ssize_t count = PyList_GET_SIZE(list);
    char **made = PyMem_Calloc(count + 1, sizeof *made);
    if (made == NULL) return (char **)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++)
        if ((made[i] = joined(PyList_GET_ITEM(list, i), NULL)) == NULL) {
            release(made);
            return NULL;
        }
    return made;
}

static char **variables_of(PyObject *dict) {
    PyObject *name, *value;
    Py_ssize_t at = 0, i = 0;
    char **made = PyMem_Calloc(PyDict_GET_SIZE(dict) + 1, sizeof *made);
    if (made == NULL) return (char **)PyErr_NoMemory();
    while (PyDict_Next(dict, &at, &name, &value))
        if ((made[i++] = joined(name, value)) == NULL) {
            release(made);
            return NULL;
        }
    return made;
}

/* A copy with a number above every target; it is closed by exec. -1 with an exception. */
static int copy_above(struct order *order, int source, int above) {
    int copy = fcntl(source, F_DUPFD_CLOEXEC, above + 1);
    if (copy < 0) PyErr_SetFromErrno(PyExc_OSError);
    if (copy >= order->first) order->first = copy + 1;
    return copy;
}

/* Copies of the sources, and of what is held until the exec; their end in `first`. 0, or -1 with
 * an exception. */
static int stage_moves(struct order *order, PyObject *moves, int hold) {
    int above = 2;
    Py_ssize_t count = PyList_GET_SIZE(moves);
    if (count > MOST_MOVES) {
        PyErr_Format(PyExc_ValueError, "more than %d descriptors", MOST_MOVES);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!PyArg_ParseTuple(PyList_GET_ITEM(moves, i), "ii", &order->staged[i],
                              &order->targets[i]))
            return -1;
        if (order->targets[i] > above) above = order->targets[i];
    }
    order->first = above + 1;
    for (; order->moves < count; order->moves++) {
        int copy = copy_above(order, order->staged[order->moves], above);
        if (copy < 0) return -1;
        order->staged[order->moves] = copy;
    }
    return hold >= 0 && (order->held = copy_above(order, hold, above)) < 0 ? -1 : 0;
}

static long give_birth(struct order *order, int cgroup) {
    struct clone3_args args = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | HANDLERS_CLEARED,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)child_stack,
        .stack_size = sizeof child_stack,
    };
    if (cgroup >= 0) {
        args.flags |= INTO_CGROUP;
        args.cgroup = (uint64_t)cgroup;
    }
    return clone3_running(&args, be_born, order);
}

static PyObject *birth(PyObject *module, PyObject *args) {
    struct order order = {.umask = -1, .held = -1};
    PyObject *argv, *env, *moves, *made = NULL;
    unsigned long long soft, hard;
    int cgroup, hold;
    if (!PyArg_ParseTuple(args, "O!O!O!si(KK)ii", &PyList_Type, &argv, &PyDict_Type, &env,
                          &PyList_Type, &moves, &order.cwd, &order.umask, &soft, &hard, &cgroup,
                          &hold))
        return NULL;
    order.files = (struct rlimit){.rlim_cur = soft, .rlim_max = hard};
    if (PyList_GET_SIZE(argv) == 0) return PyErr_Format(PyExc_ValueError, "no program");
    if ((order.argv = words_of(argv)) != NULL && (order.env = variables_of(env)) != NULL &&
        stage_moves(&order, moves, hold) == 0) {
        long pid = give_birth(&order, cgroup);
        if (pid < 0)
            order.error = (int)-pid, order.stage = BIRTH, pid = 0;
        else if (order.error)
            while (waitpid((pid_t)pid, NULL, 0) < 0 && errno == EINTR) {}
        made = Py_BuildValue("(lii)", order.error ? 0 : pid, order.error, (int)order.stage);
    }
    for (int i = 0; i < order.moves; i++) close(order.staged[i]);
    if (order.held >= 0) close(order.held);
    release(order.argv);
    release(order.env);
    return made;
}

static PyObject *take_turns(PyObject *module, PyObject *args) {
    unsigned long long length;
    struct turns wanted = {0};
    if (!PyArg_ParseTuple(args, "K", &length)) return NULL;
    usual.size = 0;
    if (syscall(SYS_sched_getattr, 0, &wanted, sizeof wanted, 0) != 0 || wanted.policy != 0)
        Py_RETURN_FALSE; /* SCHED_OTHER alone knows turns */
    wanted.runtime = length;
    if (syscall(SYS_sched_setattr, 0, &wanted, 0) != 0) Py_RETURN_FALSE;
    if (length) usual = wanted, usual.runtime = 0;
    Py_RETURN_TRUE;
}

static PyMethodDef methods[] = {
    {"birth", birth, METH_VARARGS,
     "birth(argv, env, moves, cwd, umask, (soft, hard), cgroup, hold) -> (pid, errno, stage)"},
    {"take_turns", take_turns, METH_VARARGS,
     "take_turns(nanoseconds) -> bool: how long we run in a row; 0: as usual. Not our children."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_birth", .m_size = -1, .m_methods = methods,
    .m_doc = "Starts a program in its cgroup without copying anything of the keeper.",
};

PyMODINIT_FUNC PyInit__birth(void) { return PyModule_Create(&definition); }
