#include "hub/stored_key.h"

#include <gtest/gtest.h>

namespace tidewire::hub {
namespace {

TEST(StoredKey, IsTheKeyItWasMadeOfWhateverTheLength) {
  for (std::size_t size = 0; size <= 255; ++size) {
    const ChannelKey key{3, std::string(size, 'a') + "b"};
    const StoredKey stored(key);
    EXPECT_EQ(stored.tenant(), 3);
    EXPECT_EQ(stored.name(), key.name);
    EXPECT_EQ(stored, key);
    EXPECT_EQ(ChannelKey(stored), key);
  }
}

TEST(StoredKey, DiffersInTenantAndName) {
  const StoredKey stored(ChannelKey{1, "room:a"});
  EXPECT_FALSE(stored == (ChannelKey{2, "room:a"}));
  EXPECT_FALSE(stored == (ChannelKey{1, "room:b"}));
  EXPECT_FALSE(stored == (ChannelKey{1, "room:"}));
}

}  // namespace
}  // namespace tidewire::hub
