/** The last minute as a line; words for those who can't see it come from the cell beside it. */

export function Spark({ values, width = 72, height = 18 }: { values: readonly number[]; width?: number; height?: number }) {
  if (values.length < 2) return <svg class="spark" width={width} height={height} aria-hidden="true" />;
  const top = Math.max(1, ...values);
  const step = width / 59;
  const offset = width - (values.length - 1) * step;
  const points = values.map((v, i) => `${(offset + i * step).toFixed(1)},${(height - 1.5 - (v / top) * (height - 3)).toFixed(1)}`);
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <polygon class="spark-area" points={`${offset.toFixed(1)},${height} ${points.join(" ")} ${width},${height}`} />
      <polyline class="spark-line" points={points.join(" ")} />
    </svg>
  );
}
