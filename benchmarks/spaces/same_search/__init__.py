"""One search written for several systems; `benchmarks.spaces.lines_of_code` counts their lines."""
