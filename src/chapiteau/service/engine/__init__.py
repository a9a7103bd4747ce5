"""The only place that knows Pyramid: declarations, plans, lanes, answers, the worker."""

import warnings

# Pyramid 2.1 imports pkg_resources, which complains at every start. Our users can't mend that;
# the pin `setuptools<82` in pyproject.toml is what keeps it working.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
