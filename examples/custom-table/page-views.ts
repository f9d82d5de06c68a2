import {
  bigint,
  defineTable,
  defineUpsert,
  type DrainSchema,
  text,
  timestamptz,
} from "@millrace/drain";

/** Every view, a row each, kept for a year. */
const pageViews = defineTable("page_views", {
  match: { t: "page-view" },
  columns: {
    viewed_at: timestamptz("timestamp", { required: true }),
    url: text("url", { required: true }),
    visitor: text("visitor"),
    duration_ms: bigint("duration"),
  },
  indexes: [{ columns: ["viewed_at"], method: "brin" }],
  partitionBy: { column: "viewed_at", interval: "month", retain: "1 year" },
});

/** One row a page. */
const pages = defineUpsert("pages", {
  match: { t: "page-view" },
  key: { url: text("url", { required: true }) },
  occurredAt: "timestamp",
  counts: { views: {}, mobile_views: { device: "mobile" } },
  latest: { title: text("title") },
});

export const schema: DrainSchema = { tables: [pageViews], upserts: [pages] };
