/** Every test of the pure modules; `npm test` builds and runs them under Node's own runner. */

import "./ansi.test";
import "./columns.test";
import "./curves.test";
import "./filter.test";
import "./format.test";
import "./groups.test";
import "./hits.test";
import "./jsonline.test";
import "./lines.test";
import "./openapi.test";
import "./ring.test";
import "./rows.test";
