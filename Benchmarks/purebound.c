/* SPDX-License-Identifier: Apache-2.0 */
/* purebound: what the logic of an L4 load balancer's dataplane costs from memory, without any I/O.
 *
 *   purebound [-c cpu] [-n batches] [-b batch, default 64] [-f only this number of flows] [-j]
 *
 * Frames are written into a UMEM-like area (2048-byte frames, data at +256), then a batch of them is
 * processed and only the processing is timed (rdtsc around the batch). Reported: ns per packet, the
 * median batch and the mean of the fastest 95% (so that preemption by others is left out).
 *
 *   parse   Ethernet/IPv4/TCP|UDP checks, MAC swap: the floor
 *   maglev  + VIP lookup, 5-tuple hash, Maglev lookup (65537 x u16), IP-in-IP encap; no state
 *   ct      + flow cache: 4-way 64-byte buckets of 16-byte entries, aged on hit; Maglev on a miss
 *   ctfat   + a 64-byte entry per flow with counters and a timestamp (what full conntrack touches)
 *   nat     ctfat, but rewriting both addresses and ports with checksum updates instead of encap
 *
 * "hot": a batch is processed right after its frames were written (frames in L1/L2).
 * "cold": 4096 frames are written before they are processed (headers come from L3, as they do when
 * another core or an earlier softirq copied them).
 */
#include "util.h"
#include <sys/mman.h>
#include <x86intrin.h>

#define FR 2048
#define NF 4096
#define HEAD 256
#define RING 65537
#define INL static inline __attribute__((always_inline))

struct bucket { struct ent { uint32_t src, dst, ports; uint16_t be; uint8_t proto, age; } e[4]; } __attribute__((aligned(64)));
struct fat { uint32_t src, dst, ports; uint32_t proto_state; uint64_t pkts, bytes, last; uint32_t nsrc, ndst, nports; uint32_t be; uint16_t ipdelta, l4delta; } __attribute__((aligned(64)));
struct backend { uint32_t addr; uint32_t psum; uint8_t mac[6], smac[6]; uint32_t pad; uint64_t pkts, bytes; } __attribute__((aligned(64)));
struct vip { uint32_t addr; uint16_t port; uint8_t proto, used; };

static uint8_t *umem;
static struct bucket *tab;
static struct fat *fats;
static uint64_t tmask;
static uint16_t *ring;
static struct backend be[64];
static struct vip vips[64];
static uint64_t misses, now_tick = 1;

INL uint64_t mix(uint64_t a, uint64_t b) { __uint128_t m = (__uint128_t)a * b; return (uint64_t)m ^ (uint64_t)(m >> 64); }
INL uint64_t hash5(uint32_t s, uint32_t d, uint32_t p, uint8_t pr)
{
	return mix(((uint64_t)s << 32 | d) ^ 0x9e3779b97f4a7c15ULL, ((uint64_t)p << 8 | pr) ^ 0xd6e8feb86659fd93ULL);
}
INL uint32_t ld32(const void *p) { uint32_t v; memcpy(&v, p, 4); return v; }
INL uint16_t ld16(const void *p) { uint16_t v; memcpy(&v, p, 2); return v; }
INL void st16(void *p, uint16_t v) { memcpy(p, &v, 2); }
INL void st32(void *p, uint32_t v) { memcpy(p, &v, 4); }
INL uint16_t fold(uint32_t s) { s = (s & 0xffff) + (s >> 16); s = (s & 0xffff) + (s >> 16); return ~s; }

struct meta { uint64_t h; uint32_t src, dst, ports; uint16_t len; uint8_t proto, ok; };

INL void parse(uint8_t *p, struct meta *m)
{
	m->ok = 0;
	if (ld16(p + 12) != 0x0008 || p[14] != 0x45)
		return;
	uint16_t tot = __builtin_bswap16(ld16(p + 16));
	if (tot < 28 || tot > 1500 || (ld16(p + 20) & 0xff3f)) /* fragment */
		return;
	if (p[22] < 2)
		return;
	uint8_t pr = p[23];
	if (pr != 6 && pr != 17)
		return;
	m->len = tot; m->proto = pr;
	m->src = ld32(p + 26); m->dst = ld32(p + 30); m->ports = ld32(p + 34);
	m->ok = 1;
}
INL int vip_of(const struct meta *m)
{
	uint16_t dp = m->ports >> 16;
	uint32_t i = (m->dst * 0x9e3779b1u ^ dp * 0x85ebca6bu ^ m->proto) >> 26;
	for (;; i = (i + 1) & 63) {
		struct vip *v = &vips[i];
		if (!v->used)
			return -1;
		if (v->addr == m->dst && v->port == dp && v->proto == m->proto)
			return i;
	}
}
INL uint16_t maglev(uint64_t h) { return ring[((h >> 32) * RING) >> 32]; }
INL void encap(uint8_t *p, const struct meta *m, struct backend *b)
{
	uint8_t *n = p - 20;
	memcpy(n, b->mac, 12);
	st16(n + 12, 0x0008);
	uint16_t tot = m->len + 20;
	uint16_t s = (uint16_t)(m->src >> 16) ^ (uint16_t)m->ports;
	st32(n + 14, 0x00000045 | (uint32_t)__builtin_bswap16(tot) << 16);
	st32(n + 18, 0x00400000 & 0);
	st16(n + 22, 0x0440);
	st16(n + 24, fold(b->psum + __builtin_bswap16(tot) + s));
	st16(n + 26, 0x10ac);
	st16(n + 28, s);
	st32(n + 30, b->addr);
	b->pkts++;
	b->bytes += tot;
}
INL struct ent *ct_find(const struct meta *m)
{
	for (int w = 0; w < 2; w++) {
		struct bucket *b = &tab[(w ? m->h >> 20 ^ m->h * 31 : m->h) & tmask];
		for (int i = 0; i < 4; i++) {
			struct ent *e = &b->e[i];
			if (e->src == m->src && e->ports == m->ports && e->dst == m->dst && e->proto == m->proto)
				return e;
		}
		if (!b->e[3].proto)
			break; /* the first bucket never overflowed */
	}
	return NULL;
}
static __attribute__((noinline)) struct ent *ct_insert(const struct meta *m)
{
	misses++;
	struct bucket *b = NULL;
	struct ent *e = NULL;
	for (int w = 0; w < 2 && !e; w++) {
		b = &tab[(w ? m->h >> 20 ^ m->h * 31 : m->h) & tmask];
		for (int i = 0; i < 4; i++)
			if (!b->e[i].proto) { e = &b->e[i]; break; }
	}
	if (!e)
		e = &b->e[m->h >> 60 & 3];
	*e = (struct ent){ m->src, m->dst, m->ports, maglev(m->h), m->proto, 1 };
	struct fat *f = &fats[e - &tab[0].e[0]];
	*f = (struct fat){ .src = m->src, .dst = m->dst, .ports = m->ports, .be = e->be, .nsrc = 0x010012c6, .ndst = be[e->be].addr,
		.nports = m->ports * 2654435761u };
	uint32_t a = (uint16_t)~(m->src & 0xffff) + (uint16_t)~(m->src >> 16) + (uint16_t)~(m->dst & 0xffff) + (uint16_t)~(m->dst >> 16) +
		(f->nsrc & 0xffff) + (f->nsrc >> 16) + (f->ndst & 0xffff) + (f->ndst >> 16);
	f->ipdelta = ~fold(a);
	f->l4delta = ~fold(f->ipdelta + (uint16_t)~(m->ports & 0xffff) + (uint16_t)~(m->ports >> 16) + (f->nports & 0xffff) + (f->nports >> 16));
	return e;
}
enum { PARSE, MAGLEV, CT, CTFAT, NAT, NMODE };
static const char *names[] = { "parse", "maglev", "ct", "ctfat", "nat" };

INL void process(uint8_t **pk, int n, const int mode, const int pf)
{
	struct meta m[256];
	struct ent *en[256];
	if (pf)
		for (int i = 0; i < n; i++) {
			__builtin_prefetch(pk[i], 1);
			if (mode != PARSE && mode != NAT)
				__builtin_prefetch(pk[i] - 20, 1);
		}
	if (!pf) { /* one packet at a time, start to end */
		for (int i = 0; i < n; i++) {
			uint8_t *p = pk[i];
			struct meta *q = &m[0];
			parse(p, q);
			if (!q->ok)
				continue;
			if (mode == PARSE) {
				uint64_t a = *(uint64_t *)p, b;
				memcpy(&b, p + 6, 6);
				memcpy(p, &b, 6);
				memcpy(p + 6, &a, 6);
				continue;
			}
			if (vip_of(q) < 0)
				continue;
			q->h = hash5(q->src, q->dst, q->ports, q->proto);
			if (mode == MAGLEV) {
				encap(p, q, &be[maglev(q->h)]);
				continue;
			}
			struct ent *e = ct_find(q);
			if (!e)
				e = ct_insert(q);
			if (mode == CT && e->age != (uint8_t)now_tick)
				e->age = now_tick;
			struct fat *f = &fats[e - &tab[0].e[0]];
			if (mode >= CTFAT) { f->pkts++; f->bytes += q->len; f->last = now_tick; }
			if (mode != NAT) {
				encap(p, q, &be[e->be]);
				continue;
			}
			memcpy(p, be[f->be].mac, 12);
			st32(p + 26, f->nsrc); st32(p + 30, f->ndst); st32(p + 34, f->nports);
			st16(p + 24, fold((uint16_t)~ld16(p + 24) + f->ipdelta));
			uint8_t *c = p + (q->proto == 6 ? 50 : 40);
			st16(c, fold((uint16_t)~ld16(c) + f->l4delta));
		}
		return;
	}
	int k = 0;
	uint8_t *pp[256];
	for (int i = 0; i < n; i++) {
		parse(pk[i], &m[k]);
		if (!m[k].ok)
			continue;
		if (mode == PARSE) {
			uint8_t *p = pk[i];
			uint64_t a = *(uint64_t *)p, b;
			memcpy(&b, p + 6, 6);
			memcpy(p, &b, 6);
			memcpy(p + 6, &a, 6);
			continue;
		}
		if (vip_of(&m[k]) < 0)
			continue;
		m[k].h = hash5(m[k].src, m[k].dst, m[k].ports, m[k].proto);
		if (mode >= CT)
			__builtin_prefetch(&tab[m[k].h & tmask], 1);
		else
			__builtin_prefetch(&ring[((m[k].h >> 32) * RING) >> 32]);
		pp[k++] = pk[i];
	}
	if (mode == PARSE)
		return;
	if (mode == MAGLEV) {
		for (int i = 0; i < k; i++)
			encap(pp[i], &m[i], &be[maglev(m[i].h)]);
		return;
	}
	for (int i = 0; i < k; i++) {
		struct ent *e = ct_find(&m[i]);
		if (!e)
			e = ct_insert(&m[i]);
		if (mode == CT && e->age != (uint8_t)now_tick)
			e->age = now_tick;
		en[i] = e;
		if (mode >= CTFAT)
			__builtin_prefetch(&fats[e - &tab[0].e[0]], 1);
	}
	for (int i = 0; i < k; i++) {
		uint8_t *p = pp[i];
		struct fat *f = &fats[en[i] - &tab[0].e[0]];
		if (mode >= CTFAT) { f->pkts++; f->bytes += m[i].len; f->last = now_tick; }
		if (mode != NAT) {
			encap(p, &m[i], &be[en[i]->be]);
			continue;
		}
		memcpy(p, be[f->be].mac, 12);
		st32(p + 26, f->nsrc); st32(p + 30, f->ndst); st32(p + 34, f->nports);
		st16(p + 24, fold((uint16_t)~ld16(p + 24) + f->ipdelta));
		uint8_t *c = p + (m[i].proto == 6 ? 50 : 40);
		st16(c, fold((uint16_t)~ld16(c) + f->l4delta));
	}
}
#define F(M, P) static __attribute__((noinline)) void f_##M##_##P(uint8_t **pk, int n) { process(pk, n, M, P); }
F(PARSE, 0) F(PARSE, 1) F(MAGLEV, 0) F(MAGLEV, 1) F(CT, 0) F(CT, 1) F(CTFAT, 0) F(CTFAT, 1) F(NAT, 0) F(NAT, 1)
static void (*fn[NMODE][2])(uint8_t **, int) = { { f_PARSE_0, f_PARSE_1 }, { f_MAGLEV_0, f_MAGLEV_1 }, { f_CT_0, f_CT_1 },
	{ f_CTFAT_0, f_CTFAT_1 }, { f_NAT_0, f_NAT_1 } };

static void put(uint8_t *p, uint32_t f)
{
	static const uint8_t t[60] = { 2, 0, 0, 0, 1, 2, 2, 0, 0, 0, 1, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0x12, 0x34,
		10, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0, 80, 0, 26, 0x56, 0x78 };
	memcpy(p, t, 60);
	st32(p + 26, __builtin_bswap32(0x0a090001 + f / 14336));
	st16(p + 34, __builtin_bswap16(1024 + f % 14336 * 4));
}
static void *area(size_t n, int huge)
{
	size_t h = 2 << 20;
	uint8_t *p = mmap(NULL, n + h, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p = (uint8_t *)(((uintptr_t)p + h - 1) & ~(h - 1));
	madvise(p, n, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(p, 0, n);
	return p;
}
static int cmp(const void *a, const void *b) { uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b; return (x > y) - (x < y); }

int main(int argc, char **argv)
{
	int cpu = 1, nb = 6000, o, json = 0, only = 0, batch = 64;
	while ((o = getopt(argc, argv, "c:n:jb:f:")) != -1)
		switch (o) {
		case 'c': cpu = atoi(optarg); break;
		case 'n': nb = atoi(optarg); break;
		case 'j': json = 1; break;
		case 'b': batch = atoi(optarg); break;
		case 'f': only = atoi(optarg); break;
		default: return 2;
		}
	if (batch < 1 || batch > 256)
		die("batch 1..256");
	catch_signals();
	pin_to(cpu);
	double t0 = now_s();
	uint64_t c0 = __rdtsc();
	usleep(100000);
	double ghz = (__rdtsc() - c0) / (now_s() - t0) / 1e9;
	fprintf(stderr, "TSC %.3f GHz\n", ghz);
	for (int i = 0; i < 64; i++) {
		be[i].addr = __builtin_bswap32(0x0a000301 + i);
		be[i].psum = 0x0045 + 0x0440 + 0x10ac + (be[i].addr & 0xffff) + (be[i].addr >> 16);
		memcpy(be[i].mac, "\2\0\0\0\3\0\2\0\0\0\1\2", 12);
		be[i].mac[5] = i;
	}
	for (int i = 0; i < 16; i++) { /* 16 VIP services */
		struct vip v = { __builtin_bswap32(0xc0000201 + i / 2), __builtin_bswap16(80), i & 1 ? 6 : 17, 1 };
		uint32_t k = (v.addr * 0x9e3779b1u ^ v.port * 0x85ebca6bu ^ v.proto) >> 26;
		while (vips[k].used)
			k = (k + 1) & 63;
		vips[k] = v;
	}
	uint32_t *smp = malloc(nb * 4);
	for (int huge = 0; huge < 2; huge++) {
		umem = area((size_t)NF * FR, huge);
		ring = area(RING * 2, huge);
		for (int i = 0; i < RING; i++)
			ring[i] = mix(i + 1, 0x9e3779b97f4a7c15ULL) & 63;
		uint64_t nbk = 1 << 19;
		tmask = nbk - 1;
		tab = area(nbk * sizeof *tab, huge);
		fats = area(nbk * 4 * sizeof *fats, huge);
		static const uint32_t flows[] = { 1000, 100000, 1000000 };
		for (int fi = 0; fi < 3; fi++)
			for (int mode = 0; mode < NMODE; mode++) {
				uint32_t nfl = flows[fi];
				if ((only && nfl != (uint32_t)only) || (!only && mode < MAGLEV && fi))
					continue;
				memset(tab, 0, nbk * sizeof *tab);
				uint8_t *pk[256];
				/* every packet a new flow, up to 1M of them: Maglev + insertion + encap (or NAT) */
				for (int pf = 0; (mode == CT || mode == NAT) && nfl == 1000000 && pf < 2; pf++) {
					int ns = 0;
					misses = 0;
					for (uint32_t f = 0; f + batch <= nfl && ns < nb; f += batch) {
						for (int i = 0; i < batch; i++) {
							pk[i] = umem + (size_t)i * FR + HEAD;
							put(pk[i], f + i);
						}
						_mm_lfence();
						uint64_t a = __rdtsc();
						_mm_lfence();
						fn[mode][pf](pk, batch);
						_mm_lfence();
						smp[ns++] = __rdtsc() - a;
					}
					qsort(smp, ns, 4, cmp);
					printf(json ? "{\"pages\":\"%s\",\"flows\":%u,\"mode\":\"%s-new\",\"prefetch\":%d,\"p1\":%.1f,\"median\":%.1f,\"misses\":%llu}\n" :
					       "%-4s %8u %s, all new flows  pf=%d  p1 %6.1f  median %6.1f ns/pkt  misses %llu\n", huge ? "2M" : "4K", nfl, names[mode], pf,
					       smp[ns / 100] / ghz / batch, smp[ns / 2] / ghz / batch, (unsigned long long)misses);
					memset(tab, 0, nbk * sizeof *tab);
				}
				/* fill the table */
				for (uint32_t f = 0; mode >= CT && f < nfl; f++) {
					put(umem + HEAD, f);
					pk[0] = umem + HEAD;
					fn[mode][0](pk, 1);
				}
				for (int cold = 0; cold < 2; cold++)
					for (int pf = 0; pf < 2; pf++)
						for (int bs = batch; bs; bs = 0) {
							uint64_t seq = 0;
							misses = 0;
							uint32_t fno = 0;
							int ns = 0, per = cold ? NF / bs : 1;
							while (ns < nb && !stop_now) {
								now_tick++;
								for (int i = 0; i < per * bs; i++) {
									seq = seq * 6364136223846793005ULL + 1442695040888963407ULL;
									fno = ((seq >> 33) * nfl) >> 31;
									put(umem + (size_t)i * FR + HEAD, fno);
								}
								for (int b = 0; b < per && ns < nb; b++) {
									for (int i = 0; i < bs; i++)
										pk[i] = umem + (size_t)(b * bs + i) * FR + HEAD;
									_mm_lfence();
									uint64_t a = __rdtsc();
									_mm_lfence();
									fn[mode][pf](pk, bs);
									_mm_lfence();
									uint64_t d = __rdtsc() - a;
									smp[ns++] = d > 0xffffffff ? 0xffffffff : d;
								}
							}
							qsort(smp, ns, 4, cmp);
							double s = 0;
							int k = ns * 95 / 100;
							for (int i = 0; i < k; i++)
								s += smp[i];
							double med = smp[ns / 2] / ghz / bs, mean = s / k / ghz / bs, mn = smp[ns / 100] / ghz / bs;
							printf(json ? "{\"pages\":\"%s\",\"flows\":%u,\"mode\":\"%s\",\"frames\":\"%s\",\"prefetch\":%d,\"p1\":%.1f,\"median\":%.1f,\"mean95\":%.1f,\"misses\":%llu}\n" :
							       "%-4s %8u %-7s %-5s pf=%d  p1 %6.1f  median %6.1f  mean95 %6.1f ns/pkt  misses %llu\n",
							       huge ? "2M" : "4K", nfl, names[mode], cold ? "cold" : "hot", pf, mn, med, mean, (unsigned long long)misses);
							fflush(stdout);
						}
			}
	}
	return 0;
}
