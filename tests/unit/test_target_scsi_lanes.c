/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One unit, several lanes: each runs the commands of its own nexus while the
 * others reserve, release, reset and change modes, and the main thread raises
 * unit attentions, and sessions come and go. Under ThreadSanitizer this is
 * the test of scsi.h's rules.
 */
#include <pthread.h>

#include "target_scsi_bench.h"

#define LANES  3
#define ROUNDS 3000

struct lane {
	struct bench *b; /* for its disk and map */
	pthread_t thread;
	unsigned n;
	struct scsi_nexus *nexus;
	struct scsi_task task;
	uint8_t in[512];
	unsigned seen[256]; /* by status */
	bool bad, selected;
};

static uint8_t lane_run(struct lane *lane, const uint8_t *cdb, size_t len,
			const void *out, size_t out_len)
{
	struct scsi_task *task = &lane->task;
	struct iovec iov;
	bool finished;

	memset(task, 0, sizeof(*task));
	memcpy(task->cdb, cdb, len);
	task->cdb_len = 16;
	task->nexus = lane->nexus;
	task->edtl = (uint32_t)out_len;
	if (scsi_task_prepare(task)) {
		iov.iov_base = task->dir == SCSI_DIR_OUT
				       ? (void *)(uintptr_t)out
				       : lane->in;
		iov.iov_len =
			task->dir == SCSI_DIR_OUT ? out_len : sizeof(lane->in);
		if (iov.iov_len > task->length) {
			iov.iov_len = task->length;
		}
		task->iov = &iov;
		task->iovcnt = 1;
		task->data_len = (uint32_t)iov.iov_len;
		finished = scsi_task_execute(task);
		lane->bad |= !finished;
	}
	lane->seen[task->status]++;
	return task->status;
}

#define LANE_RUN(lane, out, out_len, ...)                                      \
	lane_run(lane, CDB(__VA_ARGS__),                                       \
		 sizeof((const uint8_t[]){__VA_ARGS__}), out, out_len)

static void lane_pr(struct lane *lane, uint8_t action, uint8_t type,
		    uint64_t key, uint64_t action_key)
{
	uint8_t list[24] = {0};

	put_be64(list, key);
	put_be64(list + 8, action_key);
	LANE_RUN(lane, list, 24, 0x5f, action, type, 0, 0, 0, 0, 0, 24, 0);
}

static struct scsi_nexus *lane_login(struct lane *lane)
{
	struct scsi_nexus_config config = {
		.initiator_name = "iqn.2026-01.example:lane",
		.isid = {0x40, 0, 0, 0, 0, (uint8_t)lane->n},
		.target_name = BENCH_TARGET,
		.portal_group = 1,
	};

	return scsi_nexus_create(&config, lane->b->map);
}

/* What is counted is read and reset while it is counted, and tests of the
 * medium begin, are refused and end. */
static void lane_log(struct lane *lane, unsigned round)
{
	LANE_RUN(lane, NULL, 0, 0x4d, 0, 0x59, 0, 0, 0, 0, 2, 0, 0);
	LANE_RUN(lane, NULL, 0, 0x4d, 0, 0x50, 0, 0, 0, 0, 2, 0, 0);
	LANE_RUN(lane, NULL, 0, 0x4c, 2, 0, 0, 0, 0, 0, 0, 0, 0);
	if (round % 128 < 16) {
		LANE_RUN(lane, NULL, 0, 0x1d, 0xa0, 0, 0, 0, 0);
	} else {
		LANE_RUN(lane, NULL, 0, 0x1d, 0x80, 0, 0, 0, 0);
	}
}

static void *lane_main(void *arg)
{
	uint8_t control[16] = {[4] = 0x0a, 0x0a, 0x20, 0x10, [15] = 1};
	struct lane *lane = arg;
	uint64_t key = lane->n + 1;
	unsigned i;

	lane->nexus = lane_login(lane);
	for (i = 0; i < ROUNDS; i++) {
		LANE_RUN(lane, NULL, 0, 0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0);
		switch ((i + lane->n * 5) % 16) {
		case 0:
			lane_pr(lane, 6, 0, 0, key);
			break;
		case 1:
			lane_pr(lane, 1, (uint8_t)(i & 16 ? 3 : 8), key, 0);
			break;
		case 3:
			lane_pr(lane, 2, (uint8_t)(i & 16 ? 3 : 8), key, 0);
			break;
		case 5:
			lane_pr(lane, 4, 5, key, (key % LANES) + 1);
			break;
		case 7:
			lane_pr(lane, 3, 0, key, 0);
			break;
		case 8:
			LANE_RUN(lane, NULL, 0, 0x16, 0, 0, 0, 0, 0);
			break;
		case 9:
			LANE_RUN(lane, NULL, 0, 0x17, 0, 0, 0, 0, 0);
			break;
		case 10:
			control[6] ^= 0x04; /* D_SENSE */
			lane->selected |=
				LANE_RUN(lane, control, 16, 0x15, 0x10, 0, 0,
					 16, 0) == SCSI_GOOD;
			break;
		case 11:
			LANE_RUN(lane, NULL, 0, 0x5e, 3, 0, 0, 0, 0, 0, 2, 0,
				 0);
			break;
		case 12:
			scsi_lu_reset(lane->b->lu, lane->nexus);
			break;
		case 13:
			scsi_nexus_set_map(lane->nexus, lane->b->map);
			break;
		case 14:
			scsi_nexus_lost(lane->nexus);
			scsi_nexus_free(lane->nexus);
			lane->nexus = lane_login(lane);
			break;
		case 15:
			lane_log(lane, i);
			break;
		default:
			LANE_RUN(lane, NULL, 0, 0x03, 0, 0, 0, 96, 0);
			break;
		}
	}
	scsi_nexus_free(lane->nexus);
	return NULL;
}

static void lanes_share_a_unit(void **state)
{
	struct bench *b = *state;
	static struct lane lanes[LANES];
	uint8_t list[24] = {0};
	unsigned i;

	b->disk.shared = true;
	for (i = 0; i < LANES; i++) {
		lanes[i].b = b;
		lanes[i].n = i;
		assert_int_equal(pthread_create(&lanes[i].thread, NULL,
						lane_main, &lanes[i]),
				 0);
	}
	for (i = 0; i < ROUNDS; i++) {
		scsi_lu_capacity_changed(b->lu);
		scsi_nexus_unit_attention(b->nexus[0], NULL,
					  ASC_REPORTED_LUNS_CHANGED);
		if (i % 64 == 0) {
			scsi_lu_set_enabled(b->lu, false);
			scsi_lu_set_enabled(b->lu, true);
		}
	}
	for (i = 0; i < LANES; i++) {
		pthread_join(lanes[i].thread, NULL);
		assert_false(lanes[i].bad);
		/* All of it happened: commands ran, were refused, conflicted.
		 */
		assert_true(lanes[i].seen[SCSI_GOOD] > 0);
		assert_true(lanes[i].seen[SCSI_CHECK_CONDITION] > 0);
		assert_true(lanes[i].seen[SCSI_RESERVATION_CONFLICT] > 0);
		assert_true(lanes[i].selected);
	}
	/* What is left is consistent: one who registers can clear it all, and
	 * then everyone may do everything. */
	bench_clear_ua(b);
	list[15] = 9;
	assert_good(RUN_OUT(b, list, 24, 0x5f, 6, 0, 0, 0, 0, 0, 0, 24, 0));
	list[7] = 9;
	assert_good(RUN_OUT(b, list, 24, 0x5f, 3, 0, 0, 0, 0, 0, 0, 24, 0));
	assert_good(RUN(b, 0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0));
	assert_int_equal(get_be32(b->in + 4), 0);
	assert_good(RUN_AS(b, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(lanes_share_a_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
