/*
 * Unit tests of dispatch: order, exclusion, currentness, lifetime, time, misuse.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <dispatch/dispatch.h>

#include "death.h"

enum { PATIENCE_MS = 120000 }; /* which only a test that fails needs */

static dispatch_queue_t global(void)
{
    return dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_DEFAULT, 0);
}

static dispatch_time_t in_ms(int64_t ms)
{
    return dispatch_time(DISPATCH_TIME_NOW, ms * (int64_t)NSEC_PER_MSEC);
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void signal_it(void *semaphore)
{
    dispatch_semaphore_signal(semaphore);
}

static void do_nothing(void *context)
{
    (void)context;
}

/* Wait until everything handed in before has run. */
static void drain(dispatch_queue_t queue)
{
    dispatch_sync_f(queue, NULL, do_nothing);
}

/* ---- Order and exclusion ---- */

struct numbers {
    int count; /* guarded by the queue alone */
    int seen[1000];
};

struct numbered {
    struct numbers *numbers;
    int value;
};

static void note_number(void *context)
{
    struct numbered *numbered = context;
    numbered->numbers->seen[numbered->numbers->count++] = numbered->value;
}

static void work_runs_in_order(void **state)
{
    dispatch_queue_t queue = dispatch_queue_create("order", DISPATCH_QUEUE_SERIAL);
    struct numbers numbers = {0};
    static struct numbered items[1000];
    for (int i = 0; i < 1000; i++) {
        items[i] = (struct numbered){.numbers = &numbers, .value = i};
        (i % 10 == 9 ? dispatch_sync_f : dispatch_async_f)(queue, &items[i], note_number);
    }
    drain(queue);
    assert_int_equal(numbers.count, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(numbers.seen[i], i);
    }
    dispatch_release(queue);
}

struct shared {
    dispatch_queue_t queue;
    long count; /* plain: exclusion is what is tested */
};

static void count_up(void *context)
{
    ((struct shared *)context)->count++;
}

static void *hammer(void *context)
{
    struct shared *shared = context;
    for (int i = 0; i < 500; i++) {
        (i % 3 == 0 ? dispatch_sync_f : dispatch_async_f)(shared->queue, shared, count_up);
    }
    return NULL;
}

static void one_piece_of_work_at_a_time(void **state)
{
    struct shared shared = {.queue = dispatch_queue_create(NULL, DISPATCH_QUEUE_SERIAL)};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, hammer, &shared);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    drain(shared.queue);
    assert_int_equal(shared.count, 2000);
    dispatch_release(shared.queue);
}

static void remember_thread(void *context)
{
    *(pthread_t *)context = pthread_self();
}

static void sync_runs_on_the_caller(void **state)
{
    dispatch_queue_t queue = dispatch_queue_create("caller", DISPATCH_QUEUE_SERIAL);
    pthread_t seen;
    dispatch_sync_f(queue, &seen, remember_thread);
    assert_true(pthread_equal(seen, pthread_self()));
    dispatch_async_f(queue, &seen, remember_thread);
    drain(queue);
    assert_false(pthread_equal(seen, pthread_self()));
    dispatch_sync_f(global(), &seen, remember_thread);
    assert_true(pthread_equal(seen, pthread_self()));
    dispatch_release(queue);
}

/* ---- Which queue is current ---- */

static char key, other_key;

struct seen {
    dispatch_queue_t inner;
    void *specific;
    void *specific_inside;
    const char *label;
};

static void look_inside(void *context)
{
    struct seen *seen = context;
    seen->specific_inside = dispatch_get_specific(&key);
}

static void look(void *context)
{
    struct seen *seen = context;
    seen->specific = dispatch_get_specific(&key);
    seen->label = dispatch_queue_get_label(NULL);
    if (seen->inner != NULL) {
        dispatch_sync_f(seen->inner, seen, look_inside);
    }
}

static void specific_tells_the_current_queue(void **state)
{
    dispatch_queue_t one = dispatch_queue_create("one", DISPATCH_QUEUE_SERIAL);
    dispatch_queue_t two = dispatch_queue_create("two", DISPATCH_QUEUE_SERIAL);
    int value;
    dispatch_queue_set_specific(one, &key, &value, NULL);
    dispatch_queue_set_specific(one, NULL, &value, NULL);
    assert_null(dispatch_get_specific(&key));
    assert_string_equal(dispatch_queue_get_label(NULL), "");
    assert_ptr_equal(dispatch_queue_get_specific(one, &key), &value);
    assert_null(dispatch_queue_get_specific(one, &other_key));
    assert_null(dispatch_queue_get_specific(two, &key));
    assert_null(dispatch_queue_get_specific(one, NULL));
    struct seen seen = {.inner = two};
    dispatch_sync_f(one, &seen, look);
    assert_ptr_equal(seen.specific, &value);
    assert_string_equal(seen.label, "one");
    assert_null(seen.specific_inside); /* the inner queue is the current one */
    seen = (struct seen){0};
    dispatch_async_f(one, &seen, look);
    drain(one);
    assert_ptr_equal(seen.specific, &value);
    dispatch_queue_set_specific(one, &key, NULL, NULL);
    assert_null(dispatch_queue_get_specific(one, &key));
    assert_null(dispatch_queue_get_specific(global(), &key));
    dispatch_assert_queue_not(one);
    dispatch_release(one);
    dispatch_release(two);
}

static void destructors_run_on_replacement_and_at_the_end(void **state)
{
    dispatch_queue_t queue = dispatch_queue_create("specifics", DISPATCH_QUEUE_SERIAL);
    dispatch_semaphore_t gone[3];
    for (int i = 0; i < 3; i++) {
        gone[i] = dispatch_semaphore_create(0);
    }
    dispatch_queue_set_specific(queue, &key, gone[0], signal_it);
    dispatch_queue_set_specific(queue, &key, gone[1], signal_it);
    dispatch_queue_set_specific(queue, &other_key, gone[2], signal_it);
    assert_int_equal(dispatch_semaphore_wait(gone[0], in_ms(PATIENCE_MS)), 0);
    assert_int_not_equal(dispatch_semaphore_wait(gone[1], DISPATCH_TIME_NOW), 0);
    dispatch_release(queue);
    assert_int_equal(dispatch_semaphore_wait(gone[1], in_ms(PATIENCE_MS)), 0);
    assert_int_equal(dispatch_semaphore_wait(gone[2], in_ms(PATIENCE_MS)), 0);
    for (int i = 0; i < 3; i++) {
        dispatch_release(gone[i]);
    }
}

/* ---- Lifetime ---- */

static void sleep_a_little(void *context)
{
    (void)context;
    sleep_ms(20);
}

static void work_outlives_the_last_reference(void **state)
{
    dispatch_queue_t queue = dispatch_queue_create("short-lived", DISPATCH_QUEUE_SERIAL);
    dispatch_semaphore_t done = dispatch_semaphore_create(0);
    dispatch_async_f(queue, NULL, sleep_a_little);
    dispatch_async_f(queue, done, signal_it);
    dispatch_release(queue);
    assert_int_equal(dispatch_semaphore_wait(done, in_ms(PATIENCE_MS)), 0);
    dispatch_release(done);
}

struct self_release {
    dispatch_queue_t queue;
    dispatch_semaphore_t done;
};

static void release_own_queue(void *context)
{
    struct self_release *self = context;
    dispatch_queue_t queue = self->queue;
    dispatch_async_f(queue, self->done, signal_it);
    dispatch_release(queue);
}

static void queues_may_be_released_from_their_own_work(void **state)
{
    struct self_release self = {.done = dispatch_semaphore_create(0)};
    self.queue = dispatch_queue_create("sync", DISPATCH_QUEUE_SERIAL);
    dispatch_sync_f(self.queue, &self, release_own_queue);
    assert_int_equal(dispatch_semaphore_wait(self.done, in_ms(PATIENCE_MS)), 0);
    self.queue = dispatch_queue_create("async", DISPATCH_QUEUE_SERIAL);
    dispatch_async_f(self.queue, &self, release_own_queue);
    assert_int_equal(dispatch_semaphore_wait(self.done, in_ms(PATIENCE_MS)), 0);
    dispatch_release(self.done);
}

static int thread_count(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    while (readdir(tasks) != NULL) {
        count++;
    }
    closedir(tasks);
    return count;
}

/* As many as there were when no queue had been made, once those of queues have ended. */
static int threads_without_queues;

static bool threads_are_gone(void)
{
    for (int i = 0; i < PATIENCE_MS / 10 && thread_count() > threads_without_queues; i++) {
        sleep_ms(10);
    }
    return thread_count() == threads_without_queues;
}

static void *remember_task(void *context)
{
    *(long *)context = syscall(SYS_gettid);
    return NULL;
}

/* Behind the first thread: a sanitizer may start one of its own with it, which stays. */
static int count_threads_at_start(void **state)
{
    pthread_t thread;
    long task = 0;
    char path[64];
    if (pthread_create(&thread, NULL, remember_task, &task) || pthread_join(thread, NULL)) {
        return -1;
    }
    snprintf(path, sizeof(path), "/proc/self/task/%ld", task);
    while (access(path, F_OK) == 0) { /* joined a little before it is gone */
        sleep_ms(1);
    }
    threads_without_queues = thread_count();
    return 0;
}

static void threads_go_with_their_queues(void **state)
{
    assert_true(threads_are_gone()); /* of earlier tests */
    const int before = threads_without_queues;
    dispatch_queue_t queues[8];
    for (int i = 0; i < 8; i++) {
        queues[i] = dispatch_queue_create("many", DISPATCH_QUEUE_SERIAL);
    }
    assert_int_equal(thread_count(), before); /* none before there is work */
    for (int i = 0; i < 8; i++) {
        drain(queues[i]);
    }
    assert_int_equal(thread_count(), before); /* none for sync alone */
    for (int i = 0; i < 8; i++) {
        dispatch_async_f(queues[i], NULL, do_nothing);
        drain(queues[i]);
    }
    assert_true(thread_count() >= before + 8);
    for (int i = 0; i < 8; i++) {
        dispatch_release(queues[i]);
    }
    assert_true(threads_are_gone());
}

static void release_and_signal(void *context)
{
    struct self_release *self = context;
    dispatch_semaphore_signal(self->done);
}

static void queues_are_made_and_released_quickly(void **state)
{
    struct self_release self = {.done = dispatch_semaphore_create(0)};
    for (int i = 0; i < 300; i++) {
        dispatch_queue_t queue = dispatch_queue_create("brief", DISPATCH_QUEUE_SERIAL);
        dispatch_retain(queue);
        dispatch_async_f(queue, &self, release_and_signal);
        dispatch_release(queue);
        if (i % 2 == 0) {
            drain(queue);
        }
        dispatch_release(queue);
    }
    for (int i = 0; i < 300; i++) {
        assert_int_equal(dispatch_semaphore_wait(self.done, in_ms(PATIENCE_MS)), 0);
    }
    dispatch_release(self.done);
}

/* ---- Global queue ---- */

struct meeting {
    dispatch_semaphore_t arrived, all_here;
    dispatch_semaphore_t left;
};

static void meet(void *context)
{
    struct meeting *meeting = context;
    dispatch_semaphore_signal(meeting->arrived);
    dispatch_semaphore_wait(meeting->all_here, DISPATCH_TIME_FOREVER);
    dispatch_semaphore_signal(meeting->left);
}

static void global_work_runs_side_by_side(void **state)
{
    struct meeting meeting = {dispatch_semaphore_create(0), dispatch_semaphore_create(0),
                              dispatch_semaphore_create(0)};
    for (int i = 0; i < 10; i++) {
        dispatch_async_f(global(), &meeting, meet);
    }
    for (int i = 0; i < 10; i++) { /* none can leave before all have come */
        assert_int_equal(dispatch_semaphore_wait(meeting.arrived, in_ms(PATIENCE_MS)), 0);
    }
    for (int i = 0; i < 10; i++) {
        dispatch_semaphore_signal(meeting.all_here);
    }
    for (int i = 0; i < 10; i++) {
        assert_int_equal(dispatch_semaphore_wait(meeting.left, in_ms(PATIENCE_MS)), 0);
    }
    dispatch_release(meeting.arrived);
    dispatch_release(meeting.all_here);
    dispatch_release(meeting.left);
    dispatch_retain(global()); /* no effect */
    dispatch_release(global());
    dispatch_release(global());
    assert_ptr_equal(global(), dispatch_get_global_queue(0x15, 0));
    assert_null(dispatch_get_global_queue(1, 0));
    assert_null(dispatch_get_global_queue(0, 1));
}

/* ---- Time and semaphores ---- */

static void times_saturate(void **state)
{
    assert_true(dispatch_time(DISPATCH_TIME_FOREVER, -1) == DISPATCH_TIME_FOREVER);
    assert_true(dispatch_time(DISPATCH_TIME_NOW, INT64_MAX) == DISPATCH_TIME_FOREVER);
    dispatch_time_t now = dispatch_time(DISPATCH_TIME_NOW, 0);
    assert_true(dispatch_time(now, 5) == now + 5);
    assert_true(dispatch_time(now, INT64_MIN) != DISPATCH_TIME_NOW);
    assert_true(dispatch_time(now, INT64_MIN) < now);
    struct timespec far = {.tv_sec = INT64_MAX};
    assert_true(dispatch_walltime(&far, 0) == DISPATCH_TIME_FOREVER);
    struct timespec long_ago = {.tv_sec = INT64_MIN};
    assert_true(dispatch_walltime(&long_ago, 0) != DISPATCH_TIME_FOREVER);
    assert_true(dispatch_walltime(NULL, INT64_MAX) == DISPATCH_TIME_FOREVER);
    struct timespec some = {.tv_sec = 100, .tv_nsec = 7};
    assert_true(dispatch_time(dispatch_walltime(&some, 0), 3) == dispatch_walltime(&some, 3));
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void semaphores_count(void **state)
{
    dispatch_semaphore_t semaphore = dispatch_semaphore_create(2);
    assert_int_equal(dispatch_semaphore_wait(semaphore, DISPATCH_TIME_NOW), 0);
    assert_int_equal(dispatch_semaphore_wait(semaphore, DISPATCH_TIME_FOREVER), 0);
    int64_t start = now_ms();
    assert_int_not_equal(dispatch_semaphore_wait(semaphore, in_ms(30)), 0);
    assert_true(now_ms() - start >= 29);
    assert_int_not_equal(
        dispatch_semaphore_wait(semaphore, dispatch_walltime(NULL, 10 * NSEC_PER_MSEC)), 0);
    assert_int_equal(dispatch_semaphore_signal(semaphore), 0); /* nobody waited */
    assert_int_equal(dispatch_semaphore_signal(semaphore), 0);
    dispatch_release(semaphore);
    assert_null(dispatch_semaphore_create(-1));
}

static void must_not_run(void *context)
{
    (void)context;
    abort();
}

/* false: the machine was away while work was handed in, and its order was another. */
static bool hand_in_for_later(void)
{
    dispatch_queue_t queue = dispatch_queue_create("later", DISPATCH_QUEUE_SERIAL);
    struct numbers numbers = {0};
    struct numbered items[] = {{&numbers, 3}, {&numbers, 1}, {&numbers, 2}, {&numbers, 0}};
    dispatch_semaphore_t done = dispatch_semaphore_create(0);
    int64_t start = now_ms();
    dispatch_after_f(in_ms(60), queue, &items[0], note_number);
    dispatch_after_f(in_ms(20), queue, &items[1], note_number);
    dispatch_after_f(dispatch_walltime(NULL, 40 * NSEC_PER_MSEC), queue, &items[2], note_number);
    dispatch_after_f(DISPATCH_TIME_NOW, queue, &items[3], note_number);
    dispatch_after_f(DISPATCH_TIME_FOREVER, queue, NULL, must_not_run);
    dispatch_after_f(in_ms(80), queue, done, signal_it);
    bool is_ordered = now_ms() - start < 20;
    dispatch_release(queue); /* the timers hold it */
    if (!is_ordered) {
        sleep_ms(200); /* the last may not be the last */
    }
    assert_int_equal(dispatch_semaphore_wait(done, in_ms(PATIENCE_MS)), 0);
    assert_true(now_ms() - start >= 79);
    for (int i = 0; is_ordered && i < 4; i++) {
        assert_int_equal(numbers.count, 4);
        assert_int_equal(numbers.seen[i], i);
    }
    dispatch_release(done);
    return is_ordered;
}

static void later_work_runs_by_time(void **state)
{
    int attempts = 0;
    while (!hand_in_for_later()) {
        assert_true(++attempts < 1000);
    }
}

/* ---- Misuse ---- */

static dispatch_queue_t doomed;

static void sync_again(void *context)
{
    dispatch_sync_f(doomed, context, do_nothing);
}

static void sync_through_another(void *context)
{
    dispatch_sync_f(dispatch_queue_create("between", DISPATCH_QUEUE_SERIAL), context, sync_again);
}

static void sync_on_own_queue(void)
{
    doomed = dispatch_queue_create("doomed", DISPATCH_QUEUE_SERIAL);
    dispatch_sync_f(doomed, NULL, sync_again);
}

static void sync_on_outer_queue(void)
{
    doomed = dispatch_queue_create("doomed", DISPATCH_QUEUE_SERIAL);
    dispatch_sync_f(doomed, NULL, sync_through_another);
}

static void sync_on_own_thread(void)
{
    doomed = dispatch_queue_create("doomed", DISPATCH_QUEUE_SERIAL);
    dispatch_async_f(doomed, NULL, sync_again);
    drain(doomed);
}

static void release_null(void)
{
    dispatch_release((dispatch_queue_t)NULL);
}

static void async_on_null(void)
{
    dispatch_async_f(NULL, NULL, do_nothing);
}

static void specific_on_global(void)
{
    dispatch_queue_set_specific(global(), &key, &key, NULL);
}

static void semaphore_in_use(void)
{
    dispatch_semaphore_t semaphore = dispatch_semaphore_create(1);
    dispatch_semaphore_wait(semaphore, DISPATCH_TIME_FOREVER);
    dispatch_release(semaphore);
}

static void assert_elsewhere(void)
{
    dispatch_assert_queue(dispatch_queue_create("elsewhere", DISPATCH_QUEUE_SERIAL));
}

static void assert_not_here(void *context)
{
    dispatch_assert_queue(context);
    dispatch_assert_queue_not(context);
}

static void assert_not_on_own_queue(void)
{
    doomed = dispatch_queue_create("doomed", DISPATCH_QUEUE_SERIAL);
    dispatch_sync_f(doomed, doomed, assert_not_here);
}

static void concurrent_queue(void)
{
    dispatch_queue_create("concurrent", (dispatch_queue_attr_t)(uintptr_t)1);
}

static void misuse_ends_the_process(void **state)
{
    assert_dies(sync_on_own_queue, "dispatch_sync_f: called on a queue already owned by");
    assert_dies(sync_on_outer_queue, "dispatch_sync_f: called on a queue already owned by");
    assert_dies(sync_on_own_thread, "dispatch_sync_f: called on a queue already owned by");
    assert_dies(release_null, "dispatch_release: called with NULL");
    assert_dies(async_on_null, "dispatch_async_f: called with NULL");
    assert_dies(specific_on_global, "dispatch_queue_set_specific: called on a global queue");
    assert_dies(semaphore_in_use, "freed while in use");
    assert_dies(assert_elsewhere, "dispatch_assert_queue: ");
    assert_dies(assert_not_on_own_queue, "dispatch_assert_queue_not: ");
    assert_dies(concurrent_queue, "dispatch_queue_create: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_ends_the_process), /* first: forks while there is one thread */
        cmocka_unit_test(work_runs_in_order),
        cmocka_unit_test(one_piece_of_work_at_a_time),
        cmocka_unit_test(sync_runs_on_the_caller),
        cmocka_unit_test(specific_tells_the_current_queue),
        cmocka_unit_test(destructors_run_on_replacement_and_at_the_end),
        cmocka_unit_test(work_outlives_the_last_reference),
        cmocka_unit_test(queues_may_be_released_from_their_own_work),
        cmocka_unit_test(queues_are_made_and_released_quickly),
        cmocka_unit_test(threads_go_with_their_queues),
        cmocka_unit_test(global_work_runs_side_by_side),
        cmocka_unit_test(times_saturate),
        cmocka_unit_test(semaphores_count),
        cmocka_unit_test(later_work_runs_by_time),
    };
    return cmocka_run_group_tests_name("dispatch", tests, count_threads_at_start, NULL);
}
