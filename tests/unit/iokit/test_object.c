/*
 * Unit tests of names: user references, reuse, death, and who frees what.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <IOKit/IOReturn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "iokit/object.h"

static atomic_int released;
static atomic_int destroyed;

static void on_released(struct io_object *object)
{
    released++;
}

static void on_destroy(struct io_object *object)
{
    destroyed++;
    io_object_fini(object);
    free(object);
}

static const struct io_class connection_class = {
    .kind = IO_KIND_CONNECTION, .released = on_released, .destroy = on_destroy};
static const struct io_class interest_class = {.kind = IO_KIND_INTEREST, .destroy = on_destroy};

static int set_up(void **state)
{
    released = 0;
    destroyed = 0;
    return 0;
}

static mach_port_t add(const struct io_class *class, uint64_t entry_id)
{
    struct io_object *object = calloc(1, sizeof(*object));
    io_object_init(object, class, NULL, entry_id);
    mach_port_t name = io_name_add(object);
    assert_int_not_equal(name, MACH_PORT_NULL);
    return name;
}

static void check_find(mach_port_t name, unsigned kinds, kern_return_t wanted)
{
    kern_return_t status;
    struct io_object *object = io_name_find(name, kinds, &status);
    assert_int_equal(status, wanted);
    assert_int_equal(object != NULL, wanted == KERN_SUCCESS);
    io_object_put(object);
}

static void a_name_lasts_as_long_as_its_references(void **state)
{
    mach_port_t name = add(&connection_class, 1);
    check_find(name, IO_KIND_CONNECTION, KERN_SUCCESS);
    check_find(name, IO_KIND_CONNECTION | IO_KIND_SERVICE, KERN_SUCCESS);
    check_find(name, IO_KIND_SERVICE, kIOReturnBadArgument);
    assert_int_equal(io_name_retain(name), KERN_SUCCESS);
    assert_int_equal(io_name_release(name), KERN_SUCCESS);
    assert_int_equal(released, 0);
    check_find(name, IO_KIND_CONNECTION, KERN_SUCCESS);
    assert_int_equal(io_name_release(name), KERN_SUCCESS);
    assert_int_equal(released, 1);
    assert_int_equal(destroyed, 1);
    check_find(name, IO_KIND_CONNECTION, MACH_SEND_INVALID_DEST);
    assert_int_equal(io_name_release(name), KERN_INVALID_NAME);
    assert_int_equal(io_name_retain(name), KERN_INVALID_NAME);
}

static void names_nobody_has(void **state)
{
    const mach_port_t names[] = {0, 1, 255, 256, 0x1000, 0x00ffffff, UINT32_MAX};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        check_find(names[i], UINT32_MAX, MACH_SEND_INVALID_DEST);
        assert_int_equal(io_name_retain(names[i]), KERN_INVALID_NAME);
        assert_int_equal(io_name_release(names[i]), KERN_INVALID_NAME);
        assert_false(io_name_is_dead(names[i]));
    }
    assert_false(io_name_is_dead(mach_task_self()));
    check_find(mach_task_self(), UINT32_MAX, MACH_SEND_INVALID_DEST);
}

/* 255 others have the slot before a released name comes back. */
static void a_released_name_is_not_soon_anothers(void **state)
{
    mach_port_t first = add(&connection_class, 1);
    io_name_release(first);
    for (int i = 0; i < 255; i++) {
        mach_port_t next = add(&connection_class, 1);
        assert_int_equal(next >> 8, first >> 8); /* the slot is reused */
        assert_int_not_equal(next, first);
        check_find(first, IO_KIND_CONNECTION, MACH_SEND_INVALID_DEST);
        io_name_release(next);
    }
    assert_int_equal(destroyed, 256);
}

static void internal_references_outlast_the_name(void **state)
{
    kern_return_t status;
    mach_port_t name = add(&connection_class, 1);
    struct io_object *object = io_name_find(name, IO_KIND_CONNECTION, &status);
    io_name_release(name);
    assert_int_equal(released, 1);
    assert_int_equal(destroyed, 0);
    assert_true(object->entry_id == 1);
    io_object_put(object);
    assert_int_equal(destroyed, 1);
    io_object_put(NULL);
}

static void a_service_has_one_name(void **state)
{
    mach_port_t name = io_name_of_service(NULL, 7);
    mach_port_t other = io_name_of_service(NULL, 8);
    assert_int_equal(io_name_of_service(NULL, 7), name);
    assert_int_not_equal(other, name);
    io_name_release(name);
    check_find(name, IO_KIND_SERVICE, KERN_SUCCESS);
    io_name_release(name);
    check_find(name, IO_KIND_SERVICE, MACH_SEND_INVALID_DEST);
    io_name_release(other);
}

static void names_die_with_their_entry(void **state)
{
    kern_return_t status;
    mach_port_t service = io_name_of_service(NULL, 7);
    mach_port_t connection = add(&connection_class, 7);
    mach_port_t interest = add(&interest_class, 0); /* only services and connections have one */
    mach_port_t other = add(&connection_class, 8);
    io_names_die(NULL, 7);
    assert_true(io_name_is_dead(service));
    assert_true(io_name_is_dead(connection));
    assert_false(io_name_is_dead(interest));
    assert_false(io_name_is_dead(other));
    check_find(connection, IO_KIND_CONNECTION, MACH_SEND_INVALID_DEST);
    struct io_object *object =
        io_name_find_dead_too(connection, IO_KIND_CONNECTION | IO_KIND_SERVICE, &status);
    assert_non_null(object);
    io_object_put(object);
    /* A dead name stays taken, and counts references, until it is let go of. */
    assert_int_equal(io_name_retain(connection), KERN_SUCCESS);
    mach_port_t again = io_name_of_service(NULL, 7);
    assert_int_not_equal(again, service);
    assert_int_equal(io_name_release(connection), KERN_SUCCESS);
    assert_int_equal(released, 0);
    assert_int_equal(io_name_release(connection), KERN_SUCCESS);
    assert_int_equal(released, 1);
    assert_int_equal(io_name_release(connection), KERN_INVALID_NAME);
    assert_false(io_name_is_dead(connection));
    io_name_release(service);
    io_name_release(again);
    io_name_release(interest);
    io_name_release(other);
}

static void *use_names(void *opaque)
{
    for (int i = 0; i < 300; i++) {
        mach_port_t service = io_name_of_service(NULL, (uint64_t)(i % 3));
        mach_port_t connection = add(&connection_class, 100);
        check_find(connection, IO_KIND_CONNECTION, KERN_SUCCESS);
        io_name_retain(service);
        io_name_release(service);
        io_name_release(connection);
        io_name_release(service);
    }
    return NULL;
}

static void threads_share_the_table(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_names, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(destroyed, 1200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_name_lasts_as_long_as_its_references, set_up),
        cmocka_unit_test_setup(names_nobody_has, set_up),
        cmocka_unit_test_setup(a_released_name_is_not_soon_anothers, set_up),
        cmocka_unit_test_setup(internal_references_outlast_the_name, set_up),
        cmocka_unit_test_setup(a_service_has_one_name, set_up),
        cmocka_unit_test_setup(names_die_with_their_entry, set_up),
        cmocka_unit_test_setup(threads_share_the_table, set_up),
    };
    return cmocka_run_group_tests_name("object", tests, NULL, NULL);
}
